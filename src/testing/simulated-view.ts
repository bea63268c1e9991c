/**
 * One view on its own, with a simulated clock: rows pass the real door, are de-duplicated by their ids as a
 * push is, and are folded by the real fold. Between two events the state goes through its codec, as if the
 * process had been restarted there.
 *
 * Rows are taken in by (known time, place in the test), as imported history is. A row's known time is the one
 * that was given, else its event time (and the source's `availableAfter`, as in an import).
 */
import { ReplayClock } from "../base/clock.ts";
import { asOnefoldError, type ErrorCode, OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import { withReferences } from "../define/references.ts";
import { compileViewFold } from "../fold/compile.ts";
import type { FoldEvent, ReadBuffer, ViewFold, ViewState } from "../fold/view-fold.ts";
import { createReadBuffer } from "../fold/view-fold.ts";
import { compileDoor, type Door } from "../ingest/door.ts";
import { EventIds } from "../ingest/event-ids.ts";
import { MemoryOnlineStore } from "../online-store/memory.ts";
import { checkValue } from "../schema/check-value.ts";
import { encodeEntityKey, type EntityKey, splitEntityKey } from "../schema/entity-key.ts";
import type { GivenRow, TimeInput } from "./given-row.ts";

/** An event that was let in, with what a message calls it: its id, or its place in the test. */
export interface SimulatedEvent extends FoldEvent {
  readonly key: EntityKey;
  readonly label: string;
}

/** What became of a row that is not an event of the view. */
export interface SetAside {
  /** From 0, in the order of the test. */
  readonly place: number;
  readonly code: ErrorCode | "DUPLICATE";
  readonly message: string;
}

export interface Intake {
  /** In offset order, which is the order of their known times. */
  readonly events: readonly SimulatedEvent[];
  /** In the order of the test. */
  readonly setAside: readonly SetAside[];
}

export class SimulatedView {
  readonly definition: ViewDefinition;
  readonly source: SourceDefinition;
  readonly entity: EntityDefinition;
  readonly fold: ViewFold;
  readonly #door: Door;

  /** Throws `DEFINITION_INVALID` for what is not a view as `view()` returns it. */
  constructor(definition: ViewDefinition) {
    const references = withReferences([definition]);
    const source = references.find(
      (one) => (one.kind === "stream" || one.kind === "batch") && one.name === definition.source,
    );
    const entity = references.find((one) => one.kind === "entity" && one.name === definition.entity);
    if (definition.kind !== "view" || source === undefined || entity === undefined) {
      throw new OnefoldError("DEFINITION_INVALID", "expectView needs a view as view() returns it", {
        hint: "import it from your definitions: expectView(spending), not a copy of it nor its name",
      });
    }
    this.definition = definition;
    this.source = source as SourceDefinition;
    this.entity = entity as EntityDefinition;
    this.fold = compileViewFold(definition, this.source, this.entity);
    this.#door = compileDoor(this.source, [{ definition, entity: this.entity }]);
  }

  /** Lets rows in through the door and through the fold. Throws `TIME_INVALID` for a `knownAt` that is none. */
  takeIn(rows: readonly GivenRow<unknown>[]): Intake {
    const arrivals = rows.map((given, place) => ({ row: given.row, place, knownTime: this.#knownTime(given) }));
    arrivals.sort((a, b) => a.knownTime - b.knownTime);
    const clock = new ReplayClock((arrivals.find((one) => Number.isFinite(one.knownTime))?.knownTime ?? 0) as Micros);
    const ids = this.#eventIds();
    const states = new Map<EntityKey, ViewState>();
    const events: SimulatedEvent[] = [];
    const setAside: SetAside[] = [];
    for (const { row, place, knownTime } of arrivals) {
      clock.advanceTo(knownTime as Micros);
      try {
        const checked = this.#door.check(row, clock.now());
        if (checked.id !== null && ids.claim(checked.id, checked.row, clock.now(), ALREADY_DURABLE) !== null) {
          setAside.push({ place, code: "DUPLICATE", message: `an event with id "${checked.id}" is there already` });
          continue;
        }
        const key = this.fold.keyOf(checked.row);
        const event = {
          ...checked,
          offset: events.length,
          knownTime: clock.now(),
          key,
          label: checked.id ?? `row ${place + 1}`,
        };
        // A poisoned event has its place in the log all the same: only the view goes without it.
        if (checked.id !== null) ids.accepted(checked.id, checked.row, event.knownTime);
        const { state, poison } = this.#foldOne(states.get(key) ?? null, event);
        states.set(key, state);
        events.push(event);
        if (poison !== null) setAside.push({ place, code: "EVENT_POISON", message: poison });
      } catch (error) {
        const { code, message } = asOnefoldError(error);
        if (code === "INTERNAL") throw error;
        setAside.push({ place, code, message });
      }
    }
    setAside.sort((a, b) => a.place - b.place);
    return { events, setAside };
  }

  /** Every feature of an entity at `asOf`, from the events known by then; null is an unseen entity. */
  read(events: readonly SimulatedEvent[], key: EntityKey | null, asOf: Micros): ReadBuffer {
    let state: ViewState | null = null;
    for (const event of events) {
      if (event.key === key && event.knownTime <= asOf) state = this.#foldOne(state, event).state;
    }
    const read = createReadBuffer(this.fold.features.length);
    this.fold.read(state, asOf, read);
    return read;
  }

  /** Canonical key of key columns by name. Throws `KEY_MISSING`, `REQUEST_INVALID`, what `checkValue` throws. */
  keyOf(columns: Readonly<Record<string, unknown>>): EntityKey {
    const { keys, name } = this.entity;
    const names = keys.map((key) => key.name);
    const unknown = Object.keys(columns).find((column) => !names.includes(column));
    if (unknown !== undefined) {
      throw new OnefoldError("REQUEST_INVALID", `entity ${name} has no key column "${unknown}"`, {
        candidates: nearestNames(unknown, names),
        hint: `its key columns are: ${names.join(", ")}`,
      });
    }
    const parts = keys.map((key) =>
      checkValue(columns[key.name], key.type, { allowNonFinite: false, where: key.name }),
    );
    return encodeEntityKey(
      parts,
      keys.map((key) => key.type),
    );
  }

  /** `user_id=ada`, for messages. */
  formatKey(key: EntityKey | null): string {
    if (key === null) return `an unseen ${this.entity.name}`;
    const { keys } = this.entity;
    return splitEntityKey(key, keys.length)
      .map((part, i) => `${keys[i]!.name}=${part}`)
      .join(", ");
  }

  #foldOne(before: ViewState | null, event: FoldEvent): { readonly state: ViewState; readonly poison: string | null } {
    const state = before === null ? this.fold.empty() : this.fold.decode(this.fold.encode(before));
    const outcome = this.fold.fold(state, event);
    return { state, poison: outcome.kind === "poison" ? outcome.message : null };
  }

  /** -Infinity where the row has no time that can be read: the door refuses it, whenever it comes. */
  #knownTime({ row, knownAt }: GivenRow<unknown>): number {
    if (knownAt !== undefined) return timeOf(knownAt);
    const { eventTime } = this.source;
    if (typeof row !== "object" || row === null || !Object.hasOwn(row, eventTime)) return Number.NEGATIVE_INFINITY;
    const delayMicros = this.source.kind === "stream" ? this.source.availableAfterMicros : 0;
    try {
      const time = checkValue((row as Record<string, unknown>)[eventTime], { name: "timestamp" });
      return time === null ? Number.NEGATIVE_INFINITY : (time as Micros) + delayMicros;
    } catch {
      return Number.NEGATIVE_INFINITY;
    }
  }

  #eventIds(): EventIds {
    const { source } = this;
    const dedupeWithinMicros = source.kind === "stream" ? source.dedupeWithinMicros : Number.POSITIVE_INFINITY;
    const storedCount = source.columns.length;
    return new EventIds({ source: source.name, store: new MemoryOnlineStore(), dedupeWithinMicros, storedCount });
  }
}

const ALREADY_DURABLE = Promise.resolve();

/** Throws `TIME_INVALID` or `TYPE_MISMATCH`. */
export function timeOf(time: TimeInput): Micros {
  const micros = checkValue(time, { name: "timestamp" });
  if (micros === null) throw new OnefoldError("TIME_INVALID", "the time is missing");
  return micros as Micros;
}
