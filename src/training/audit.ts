/**
 * The audit: vectors that were served, computed again from the archived log and compared bit for bit.
 *
 * Each vector's token says up to which offset its states had folded and at which time they were read, so the
 * same fold over the same events must give the same bits, lag included. A view's states are compared through
 * every value that a sampled vector carried; `audit-states.ts` compares the states themselves.
 */
import { isOnefoldError, OnefoldError } from "../base/errors.ts";
import type { ServedFallback } from "../fold/fallback.ts";
import { type ReadBuffer, STATUS_NAMES, type ViewState } from "../fold/view-fold.ts";
import type { QueryEngine } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { ComputedVector, ServedVector } from "../schema/served-vector.ts";
import { explainMismatch } from "./audit-explanation.ts";
import type { AuditMismatch, AuditResult, ComputedMismatch, FoundMismatch, ValueComparison } from "./audit-result.ts";
import { ComputedAudit } from "./computed-audit.ts";
import { createEntityTable } from "./entity-table.ts";
import { labelsByOffset, type ServedLabel } from "./label-runs.ts";
import { isArchived } from "./log-end.ts";
import type { TrainingPorts, TrainingView } from "./ports.ts";
import { replayView } from "./replay-view.ts";
import { throwIfCancelled } from "../base/cancelled.ts";
import { sameBits } from "./same-bits.ts";

export interface AuditRequest {
  readonly ports: TrainingPorts;
  /** For example `readServingLog(folder)`. */
  readonly vectors: AsyncIterable<ServedVector> | Iterable<ServedVector>;
  /** How many mismatches are kept and explained; default 10. */
  readonly mismatchesKept?: number;
  readonly onProgress?: (progress: { readonly vectors: number; readonly compared: number }) => void;
  /** Told of each value that is compared. */
  readonly onCompared?: (comparison: ValueComparison) => void;
  readonly signal?: AbortSignal;
}

const COMPUTED_EXPLANATION =
  "from the features and request data in the same line of the serving log, its function gives another value: it is not pure (it depends on a clock, chance, or state outside its inputs), or the line was changed";

/** Vectors held in memory at a time. */
const VECTORS_A_ROUND = 100_000;

/** Where one view's features stand in a vector. */
interface ViewLayout {
  readonly view: string;
  readonly positions: readonly { readonly position: number; readonly feature: string }[];
}

/** All reads of one view in one epoch within a round. */
interface ReadGroup {
  readonly view: string;
  readonly epoch: number;
  readonly reads: {
    readonly vector: ServedVector;
    readonly layout: ViewLayout;
    readonly lastOffset: number | null;
    readonly fallback: ServedFallback | undefined;
  }[];
}

/** Throws `CANCELLED`, `LOG_CORRUPT` for a damaged serving log, and what the engine throws. */
export async function audit(request: AuditRequest): Promise<AuditResult> {
  const engine = await request.ports.openEngine();
  const onAbort = (): void => engine.interrupt();
  request.signal?.addEventListener("abort", onAbort);
  try {
    const run = new AuditRun(engine, request);
    let round: ServedVector[] = [];
    for await (const vector of request.vectors) {
      round.push(vector);
      if (round.length < VECTORS_A_ROUND) continue;
      await run.compare(round);
      round = [];
    }
    await run.compare(round);
    return await run.result();
  } catch (error) {
    if (request.signal?.aborted === true)
      throw new OnefoldError("CANCELLED", "the audit was cancelled", { cause: error });
    throw error;
  } finally {
    request.signal?.removeEventListener("abort", onAbort);
    await engine.close();
  }
}

class AuditRun {
  readonly #engine: QueryEngine;
  readonly #request: AuditRequest;
  readonly #kept: number;
  readonly #layouts = new Map<string, readonly ViewLayout[]>();
  readonly #files = new Map<string, EventFiles>();
  readonly #found: (FoundMismatch | ComputedMismatch)[] = [];
  readonly #computed: ComputedAudit;
  readonly #missingReasons = new Set<string>();
  #vectors = 0;
  #compared = 0;
  #mismatched = 0;
  #missing = 0;
  #pending = 0;
  #fellBack = 0;

  constructor(engine: QueryEngine, request: AuditRequest) {
    this.#engine = engine;
    this.#request = request;
    this.#kept = request.mismatchesKept ?? 10;
    this.#computed = new ComputedAudit(request.ports);
  }

  async compare(vectors: readonly ServedVector[]): Promise<void> {
    const groups = new Map<string, ReadGroup>();
    for (const vector of vectors) {
      this.#vectors++;
      if (vector.computed !== undefined) this.#compareComputed(vector, vector.computed);
      for (const layout of this.#layoutOf(vector.features)) {
        const read = vector.token.reads.find((candidate) => candidate.view === layout.view);
        if (read === undefined) {
          this.#miss(layout, `a token of service ${vector.service} did not read view ${layout.view}`);
          continue;
        }
        const id = `${layout.view}#${read.epoch}`;
        let group = groups.get(id);
        if (group === undefined) groups.set(id, (group = { view: layout.view, epoch: read.epoch, reads: [] }));
        group.reads.push({ vector, layout, lastOffset: read.lastOffset, fallback: read.fallback });
      }
    }
    for (const group of groups.values()) {
      throwIfCancelled(this.#request.signal);
      await this.#compareGroup(group);
      this.#request.onProgress?.({ vectors: this.#vectors, compared: this.#compared });
    }
  }

  async result(): Promise<AuditResult> {
    const firstMismatches: AuditMismatch[] = [];
    for (const found of this.#found) {
      if (found.kind === "computed") {
        firstMismatches.push({ ...found, explanation: COMPUTED_EXPLANATION });
        continue;
      }
      const { key, epoch: _epoch, vector: _vector, positions: _positions, ...mismatch } = found;
      const view = this.#viewOf(found.view) as TrainingView;
      const files = (await this.#filesOf(view, found.epoch))!;
      const explanation = await explainMismatch(this.#engine, view, files, key, found);
      firstMismatches.push({ ...mismatch, explanation });
    }
    return {
      vectors: this.#vectors,
      compared: this.#compared,
      mismatched: this.#mismatched,
      missing: this.#missing,
      pending: this.#pending,
      fellBack: this.#fellBack,
      firstMismatches,
      missingReasons: [...this.#missingReasons],
      clean: this.#mismatched === 0 && this.#missing === 0,
    };
  }

  async #compareGroup(group: ReadGroup): Promise<void> {
    const view = this.#viewOf(group.view);
    const files = typeof view === "string" ? null : await this.#filesOf(view, group.epoch);
    if (typeof view === "string" || files === null) {
      const what = typeof view === "string" ? view : `epoch ${group.epoch} of ${group.view} is not archived`;
      for (const { layout } of group.reads) this.#miss(layout, what);
      return;
    }
    const slots = new Map(view.fold.features.map((feature, slot) => [feature.name, slot]));
    const ids = new Map<EntityKey, number>();
    const labels: ServedLabel[] = [];
    group.reads.forEach(({ vector, layout, lastOffset, fallback }, row) => {
      const key = vector.keys[view.entity.name];
      if (key === undefined) return this.#miss(layout, `a served vector has no key of entity ${view.entity.name}`);
      if (lastOffset !== null && !isArchived(lastOffset, files, view, key)) {
        this.#pending += layout.positions.length;
        return;
      }
      let entity = ids.get(key);
      if (entity === undefined) ids.set(key, (entity = ids.size));
      if (fallback !== undefined) this.#fellBack += layout.positions.length;
      labels.push({ entity, lastOffset, asOf: vector.token.asOf, row, fallback });
    });
    await createEntityTable(this.#engine, "audited_entities", [...ids.keys()]);
    const run = labelsByOffset(labels);
    await replayView({
      engine: this.#engine,
      view,
      files,
      entityTable: "audited_entities",
      bound: "offset",
      labels: run,
      columns: [],
      onRead: (label, state, read) => this.#compareRead(view, group, run.row[label]!, state, read, slots),
      ...(this.#request.signal === undefined ? {} : { signal: this.#request.signal }),
    });
  }

  #compareRead(
    view: TrainingView,
    group: ReadGroup,
    row: number,
    state: ViewState | null,
    read: ReadBuffer,
    slots: ReadonlyMap<string, number>,
  ): void {
    const { vector, layout, lastOffset } = group.reads[row]!;
    const found = (
      kind: FoundMismatch["kind"],
      position: number | null,
      feature: string | null,
      slot: number | null,
    ): void => {
      this.#mismatched++;
      if (this.#found.length >= this.#kept) return;
      this.#found.push({
        kind,
        service: vector.service,
        view: group.view,
        feature,
        keys: vector.keys,
        asOf: vector.token.asOf,
        lastOffset,
        served: position === null ? null : vector.values[position]!,
        servedStatus: position === null ? null : (STATUS_NAMES[vector.statuses[position]!] ?? null),
        recomputed: slot === null ? null : read.values[slot]!,
        recomputedStatus: slot === null ? null : STATUS_NAMES[read.statuses[slot]!]!,
        key: vector.keys[view.entity.name]!,
        epoch: group.epoch,
        vector,
        positions: layout.positions,
      });
    };
    if ((state?.lastOffset ?? Number.NEGATIVE_INFINITY) !== (lastOffset ?? Number.NEGATIVE_INFINITY))
      found("position", null, null, null);
    if (state !== null && state.lastKnownTime > vector.token.asOf) found("time", null, null, null);
    for (const { position, feature } of layout.positions) {
      const slot = slots.get(feature);
      if (slot === undefined) {
        this.#missing++;
        this.#note(`view ${group.view} has no feature ${feature}`);
        continue;
      }
      this.#compared++;
      const isSame =
        vector.statuses[position] === read.statuses[slot] && sameBits(vector.values[position]!, read.values[slot]!);
      this.#request.onCompared?.({
        of: group.view,
        feature,
        vector,
        served: vector.values[position]!,
        recomputed: read.values[slot]!,
        isSame,
      });
      if (!isSame) found("value", position, feature, slot);
    }
  }

  /**
   * What the service made of the features it had read: the same program over the served inputs. That those are
   * right is compared on its own, so a value that differs here differs by what was computed.
   */
  #compareComputed(vector: ServedVector, computed: ComputedVector): void {
    const program = this.#computed.recompute(vector, computed);
    if (typeof program === "string") {
      this.#missing += computed.values.length;
      this.#note(program);
      return;
    }
    for (const [position, { name, from, slot }] of program.outputs.entries()) {
      this.#compared++;
      const { values, statuses } = program.slots;
      const [served, servedStatus] = [computed.values[position]!, computed.statuses[position]!];
      const isSame = servedStatus === statuses[slot] && sameBits(served, values[slot]!);
      const recomputed = values[slot]!;
      this.#request.onCompared?.({ of: vector.service, feature: name, vector, served, recomputed, isSame });
      if (isSame) continue;
      this.#mismatched++;
      if (this.#found.length >= this.#kept) continue;
      this.#found.push({
        kind: "computed",
        service: vector.service,
        view: from,
        feature: name,
        keys: vector.keys,
        asOf: vector.token.asOf,
        lastOffset: null,
        served,
        servedStatus: STATUS_NAMES[servedStatus] ?? null,
        recomputed: values[slot]!,
        recomputedStatus: STATUS_NAMES[statuses[slot]!]!,
      });
    }
  }

  #layoutOf(features: readonly string[]): readonly ViewLayout[] {
    const id = features.join("\n");
    let layouts = this.#layouts.get(id);
    if (layouts !== undefined) return layouts;
    const byView = new Map<string, { position: number; feature: string }[]>();
    features.forEach((qualified, position) => {
      const colon = qualified.indexOf(":");
      const view = qualified.slice(0, colon);
      const positions = byView.get(view) ?? [];
      if (positions.length === 0) byView.set(view, positions);
      positions.push({ position, feature: qualified.slice(colon + 1) });
    });
    layouts = [...byView].map(([view, positions]) => ({ view, positions }));
    this.#layouts.set(id, layouts);
    return layouts;
  }

  /** Or why it cannot be computed: it is gone, its code is not what was registered, or its source has changed. */
  #viewOf(name: string): TrainingView | string {
    const at = name.lastIndexOf("@");
    const version = name.slice(at + 1);
    try {
      return this.#request.ports.view(name.slice(0, at), version === "dev" ? "dev" : Number(version));
    } catch (error) {
      const code = isOnefoldError(error) ? error.code : null;
      if (code === "VIEW_UNKNOWN" || code === "FINGERPRINT_MISMATCH")
        return `view ${name} is not registered with its code`;
      // A version that was retired does not keep its source as it was.
      if (code === "DEFINITION_INVALID")
        return `view ${name} cannot be computed over its source as it is now: ${(error as Error).message}`;
      throw error;
    }
  }

  async #filesOf(view: TrainingView, epoch: number): Promise<EventFiles | null> {
    const id = `${view.source.name}#${epoch}`;
    const known = this.#files.get(id);
    if (known !== undefined) return known;
    try {
      const files = await (await this.#request.ports.archive(view.source.name)).files(epoch);
      this.#files.set(id, files);
      return files;
    } catch (error) {
      if (isOnefoldError(error) && error.code === "EPOCH_UNKNOWN") return null;
      throw error;
    }
  }

  #miss(layout: ViewLayout, reason: string): void {
    this.#missing += layout.positions.length;
    this.#note(reason);
  }

  #note(reason: string): void {
    if (this.#missingReasons.size < this.#kept) this.#missingReasons.add(reason);
  }
}
