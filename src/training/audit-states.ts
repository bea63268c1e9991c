/**
 * The audit of stored states: each is folded again from the archived log up to its own position, and its bytes
 * compared. It finds what no served value has shown yet: a flipped bit, a lost event that still lies in no window.
 */
import { OnefoldError, isOnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { keyFromStored } from "../fold/derive.ts";
import type { ViewFold, ViewState } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { withKeyedEvents } from "../offline-store/event-reader.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { readEntityEvents } from "./entity-events.ts";
import { createEntityTable } from "./entity-table.ts";
import { collectTail, findFault, stateAfter, type EntityTail } from "./fault-search.ts";
import { labelsByOffset, type ServedLabel } from "./label-runs.ts";
import { isArchived } from "./log-end.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";
import { replayView } from "./replay-view.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import { sameBytes } from "./same-bits.ts";

export interface StateAuditRequest {
  readonly ports: TrainingPorts;
  readonly view: string;
  readonly version: number | "dev";
  /** All states as they are stored, in key order; asked for once. */
  states(): Iterable<StoredState>;
  /** Epoch that the states belong to. */
  readonly epoch: number;
  /**
   * The position stored with the states: every event below it is in them, and no other. Read before and after
   * the states. With it a state that lacks its newest events, claims too many, or is gone is found too; without
   * it a state is taken at its own word.
   */
  readonly position?: () => number;
  /** Takes every n-th state only. */
  readonly sampleEvery?: number;
  readonly mismatchesKept?: number;
  readonly onProgress?: (states: number) => void;
  readonly signal?: AbortSignal;
}

export interface StateMismatch {
  readonly view: string;
  readonly key: EntityKey;
  /** As stored; null where the state cannot be decoded or is not there. */
  readonly lastOffset: number | null;
  readonly explanation: string;
}

export interface StateAuditResult {
  /** States compared. */
  readonly states: number;
  readonly mismatched: number;
  /** Entities that have events but no stored state. Looked for only with `position` and without sampling. */
  readonly missing: number;
  /** States that hold events which are not archived yet. */
  readonly pending: number;
  readonly firstMismatches: readonly StateMismatch[];
  readonly clean: boolean;
}

const STATES_A_ROUND = 20_000;
/** Far enough ahead that any state may be read at it: the values read are of no interest here. */
const ANY_TIME = Number.MAX_SAFE_INTEGER as Micros;

export interface StoredState {
  readonly key: EntityKey;
  readonly bytes: Uint8Array;
}

/** A stored state that differs, before it is explained. */
interface Found {
  readonly key: EntityKey;
  readonly stored: Uint8Array | null;
  readonly limit: number;
  readonly reason: string | null;
}

/** Throws `VIEW_UNKNOWN`, `FINGERPRINT_MISMATCH`, `EPOCH_UNKNOWN`, `CANCELLED`. */
export async function auditStates(request: StateAuditRequest): Promise<StateAuditResult> {
  const { ports, signal } = request;
  const view = ports.view(request.view, request.version);
  const files = await (await ports.archive(view.source.name)).files(request.epoch);
  const engine = await ports.openEngine();
  const onAbort = (): void => engine.interrupt();
  signal?.addEventListener("abort", onAbort);
  try {
    return await new StateAudit(engine, view, files, request).run();
  } catch (error) {
    if (signal?.aborted === true) throw new OnefoldError("CANCELLED", "the audit was cancelled", { cause: error });
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await engine.close();
  }
}

class StateAudit {
  readonly #engine: QueryEngine;
  readonly #view: TrainingView;
  readonly #files: EventFiles;
  readonly #request: StateAuditRequest;
  readonly #kept: number;
  readonly #found: Found[] = [];
  /** Every archived event up to here is in the states. */
  readonly #foldedUpTo: number;
  #states = 0;
  #mismatched = 0;
  #missing = 0;
  #pending = 0;

  constructor(engine: QueryEngine, view: TrainingView, files: EventFiles, request: StateAuditRequest) {
    this.#engine = engine;
    this.#view = view;
    this.#files = files;
    this.#request = request;
    this.#kept = request.mismatchesKept ?? 10;
    const position = request.position?.() ?? Number.NEGATIVE_INFINITY;
    this.#foldedUpTo = Math.min(position, position <= 0 ? files.historyEnd : files.liveEnd) - 1;
  }

  async run(): Promise<StateAuditResult> {
    const { sampleEvery = 1, signal, onProgress } = this.#request;
    await this.#engine.run("CREATE OR REPLACE TABLE stored_keys (entity_key VARCHAR)");
    let round: StoredState[] = [];
    let place = 0;
    for (const { key, bytes } of this.#request.states()) {
      if (place++ % sampleEvery !== 0) continue;
      round.push({ key, bytes });
      if (round.length < STATES_A_ROUND) continue;
      throwIfCancelled(signal);
      await this.#compare(round);
      onProgress?.(this.#states);
      round = [];
    }
    await this.#compare(round);
    if (sampleEvery === 1 && this.#foldedUpTo !== Number.NEGATIVE_INFINITY) await this.#findMissing();
    onProgress?.(this.#states);
    const firstMismatches: StateMismatch[] = [];
    for (const found of this.#found) firstMismatches.push(await this.#explain(found));
    return {
      states: this.#states,
      mismatched: this.#mismatched,
      missing: this.#missing,
      pending: this.#pending,
      firstMismatches,
      clean: this.#mismatched === 0 && this.#missing === 0,
    };
  }

  async #compare(round: readonly StoredState[]): Promise<void> {
    if (round.length === 0) return;
    await createEntityTable(
      this.#engine,
      "audited_entities",
      round.map((state) => state.key),
    );
    await this.#engine.run("INSERT INTO stored_keys SELECT entity_key FROM audited_entities");
    const end = this.#request.position?.() ?? Number.POSITIVE_INFINITY;
    const labels: ServedLabel[] = [];
    round.forEach(({ key, bytes }, row) => {
      this.#states++;
      const limit = this.#limitOf(bytes, end);
      if (limit === "pending") this.#pending++;
      else if (limit !== null && typeof limit === "object") {
        this.#mismatch({ key, stored: bytes, limit: Number.POSITIVE_INFINITY, reason: limit.wrong });
      } else labels.push({ entity: row, lastOffset: limit, asOf: ANY_TIME, row });
    });
    const empty = this.#view.fold.encode(this.#view.fold.empty());
    await this.#replay(labels, (row, limit, state) => {
      const { key, bytes } = round[row]!;
      const recomputed = state === null ? empty : this.#view.fold.encode(state);
      if (!sameBytes(bytes, recomputed)) this.#mismatch({ key, stored: bytes, limit, reason: null });
    });
  }

  /**
   * Offset up to which the state must hold all events; null for none; "pending", or why it cannot be right.
   * `end` is the position after the state was read.
   */
  #limitOf(bytes: Uint8Array, end: number): number | null | "pending" | { readonly wrong: string } {
    const files = this.#files;
    let lastOffset: number;
    try {
      ({ lastOffset } = this.#view.fold.decode(bytes));
    } catch (error) {
      if (isOnefoldError(error)) return { wrong: `the stored state cannot be decoded: ${error.message}` };
      throw error;
    }
    if (lastOffset !== Number.NEGATIVE_INFINITY) {
      const isInGap = lastOffset < 0 && lastOffset >= files.historyEnd;
      if (!Number.isSafeInteger(lastOffset) || isInGap)
        return { wrong: `the stored position ${lastOffset} is no offset of the log` };
      if (lastOffset >= end)
        return { wrong: `the stored position ${lastOffset} was never folded: only events below ${end} were` };
      if (!isArchived(lastOffset, files)) return "pending";
    }
    const limit = Math.max(lastOffset, this.#foldedUpTo);
    return limit === Number.NEGATIVE_INFINITY ? null : limit;
  }

  /** Entities with events that have no stored state. */
  async #findMissing(): Promise<void> {
    const { source, definition, fold } = this.#view;
    const request = {
      files: this.#files,
      source,
      keyColumns: definition.key,
      derivedKey: keyFromStored(source, definition.key, fold),
      beforeOffset: this.#foldedUpTo + 1,
    };
    const rows = await withKeyedEvents(this.#engine, request, (relation) =>
      this.#engine.rows(
        `SELECT DISTINCT _key AS entity_key FROM ${relation} ANTI JOIN stored_keys ON _key = entity_key ORDER BY 1`,
      ),
    );
    const keys = rows.map((row) => String(row["entity_key"]));
    if (keys.length === 0) return;
    await createEntityTable(this.#engine, "audited_entities", keys);
    const labels = keys.map((_, row): ServedLabel => ({
      entity: row,
      lastOffset: this.#foldedUpTo,
      asOf: ANY_TIME,
      row,
    }));
    await this.#replay(labels, (row, limit, state) => {
      // An entity whose every event was poison rightly has none.
      if (state === null || state.lastOffset === Number.NEGATIVE_INFINITY) return;
      this.#missing++;
      if (this.#found.length < this.#kept)
        this.#found.push({ key: keys[row]!, stored: null, limit, reason: "no state is stored" });
    });
  }

  async #replay(
    labels: readonly ServedLabel[],
    compare: (row: number, limit: number, state: ViewState | null) => void,
  ): Promise<void> {
    const run = labelsByOffset(labels);
    await replayView({
      engine: this.#engine,
      view: this.#view,
      files: this.#files,
      entityTable: "audited_entities",
      bound: "offset",
      labels: run,
      columns: [],
      onRead: (label, state) => compare(run.row[label]!, run.limit[label]!, state),
      ...(this.#request.signal === undefined ? {} : { signal: this.#request.signal }),
    });
  }

  #mismatch(found: Found): void {
    this.#mismatched++;
    if (this.#found.length < this.#kept) this.#found.push(found);
  }

  async #explain({ key, stored, limit, reason }: Found): Promise<StateMismatch> {
    const { fold, definition } = this.#view;
    const view = `${definition.name}@${definition.version}`;
    const events = readEntityEvents({
      engine: this.#engine,
      view: this.#view,
      files: this.#files,
      key,
      countingAt: limit,
    });
    const tail = await collectTail(fold, events, limit);
    const count = `the log has ${tail.eventCount} events of this entity${Number.isFinite(limit) ? ` up to offset ${limit}` : ""}`;
    if (stored === null || reason !== null) return { view, key, lastOffset: null, explanation: `${reason}; ${count}` };
    const { lastOffset, eventCount } = fold.decode(stored);
    const matches = (state: ViewState): boolean => sameBytes(fold.encode(state), stored);
    const fault = findFault(fold, tail, matches) ?? describeDifference(fold, tail, stored);
    return { view, key, lastOffset, explanation: `the stored state counts ${eventCount} events; ${count}; ${fault}` };
  }
}

/** Where no event explains it: by how much the bytes differ. */
function describeDifference(fold: ViewFold, tail: EntityTail, stored: Uint8Array): string {
  const recomputed = fold.encode(stateAfter(fold, tail, tail.events));
  if (recomputed.length !== stored.length) {
    return `no single event accounts for it: ${stored.length} bytes are stored, ${recomputed.length} were recomputed`;
  }
  let bits = 0;
  let first = -1;
  for (let i = 0; i < stored.length; i++) {
    let difference = stored[i]! ^ recomputed[i]!;
    if (difference !== 0 && first < 0) first = i;
    for (; difference !== 0; difference &= difference - 1) bits++;
  }
  const damage = bits === 1 ? "one flipped bit" : `${bits} different bits`;
  return `no single event accounts for it: ${damage}, first in byte ${first} of ${stored.length}`;
}
