/**
 * One random case: a view, a sequence of events and reads, all drawn from one seed, and every answer held
 * against the naive oracle.
 */
import type { ViewDefinition } from "../../src/define/definition.ts";
import type { Window } from "../../src/define/aggregation-definition.ts";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import type { FoldState } from "../../src/fold/fold-state.ts";
import { createReadBuffer, STATUS_NAMES, type ViewFold } from "../../src/fold/view-fold.ts";
import type { Value } from "../../src/schema/value.ts";
import { type GeneratedEvent, randomEvents } from "../../src/testing/event-generator.ts";
import { type GeneratedAggregations, randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { NaiveOracle } from "../../src/testing/naive-oracle.ts";
import { SeededRandom } from "../../src/testing/random.ts";

/** The rungs of the ladder as the invariant states them, in microseconds; written down here once more on purpose. */
const RUNGS = [1e3, 1e4, 1e5, 1e6, 5e6, 15e6, 30e6, 60e6, 300e6, 900e6, 3600e6, 10800e6, 21600e6, 43200e6, 86400e6];

/** Aggregations that are exact, or say by how much they may be off. */
const STATES_ERROR: ReadonlySet<string> = new Set(["countDistinct", "quantile", "topK", "topCounts", "topOther"]);

type Session = Extract<Window, { readonly kind: "session" }>;

export interface CaseCounts {
  events: number;
  poison: number;
  answers: number;
  /** Answers that may be off by what their read stated. */
  approximate: number;
  /** Answers whose window began later than asked. */
  shifted: number;
  /** Sessions that a bucket astride their edge took events from. */
  cutSessions: number;
  /** Numbers of sessions that state how many events came too late for them. */
  lateSessions: number;
  decodings: number;
}

/** Throws with what differed. */
export function runCase(seed: number, counts: CaseCounts, aggregations: GeneratedAggregations = "basic"): void {
  const random = new SeededRandom(seed);
  const view = randomView(random, aggregations);
  const fold = compileViewFold(view, generatedSource, generatedEntity);
  const length = random.pick([0, 1, 2, 5, 12, 30, 30, 80, 80, 200, random.oneIn(6) ? 1200 : 60]);
  const events = randomEvents(random, length);
  const oracle = new NaiveOracle(view, generatedSource);
  const undisturbed = fold.empty();
  let state = fold.empty();
  // A state is decoded over one that is needed no more: first one that has seen more, then such as have seen less.
  let spare = fold.empty();
  if (seed % 4 === 0) for (const event of events) fold.fold(spare, event);
  const readEvery = random.integer(1, Math.max(2, Math.floor(length / 3)));

  for (const [i, event] of events.entries()) {
    state = foldOne(fold, state, event, oracle, random, counts);
    fold.fold(undisturbed, event);
    if (random.oneIn(20)) {
      const before = state;
      state = fold.decode(unaligned(fold.encode(state)), i % 3 === 0 ? null : spare);
      if (state === spare) spare = before;
      counts.decodings++;
    }
    if (i % readEvery === readEvery - 1) checkReads(fold, view, state, oracle, event.knownTime, events, random, counts);
  }
  const lastKnownTime = events.at(-1)?.knownTime ?? (0 as Micros);
  checkReads(fold, view, state, oracle, lastKnownTime, events, random, counts);
  if (!sameBytes(fold.encode(state), fold.encode(undisturbed))) {
    throw new Error("reads, encodings or repeated events in between changed the state's bytes");
  }
}

function foldOne(
  fold: ViewFold<FoldState>,
  state: FoldState,
  event: GeneratedEvent,
  oracle: NaiveOracle,
  random: SeededRandom,
  counts: CaseCounts,
): FoldState {
  const before = random.oneIn(4) ? fold.encode(state) : null;
  const expected = oracle.add(event);
  const outcome = fold.fold(state, event);
  if (outcome.kind !== expected)
    throw new Error(`offset ${event.offset}: ${outcome.kind}, the oracle says ${expected}`);
  counts.events++;
  if (outcome.kind === "poison") {
    counts.poison++;
    if (before !== null && !sameBytes(before, fold.encode(state))) throw new Error("a poison event changed the state");
    return state;
  }
  if (before !== null) {
    const after = fold.encode(state);
    const again = fold.fold(state, event);
    if (again.kind !== "already-folded" || !sameBytes(after, fold.encode(state))) {
      throw new Error(`offset ${event.offset} a second time: ${again.kind}`);
    }
  }
  return state;
}

function checkReads(
  fold: ViewFold<FoldState>,
  view: ViewDefinition,
  state: FoldState,
  oracle: NaiveOracle,
  knownTime: number,
  events: readonly GeneratedEvent[],
  random: SeededRandom,
  counts: CaseCounts,
): void {
  const buffer = createReadBuffer(view.features.length);
  const exactSince = oracle.timeOfNewest(Math.max(view.exactEvents, 1));
  for (const asOf of readTimes(view, knownTime, events, random)) {
    fold.read(state, asOf as Micros, buffer);
    for (const [i, { name, aggregation }] of view.features.entries()) {
      const where = `${name} at ${asOf}`;
      const windowStart = buffer.windowStarts[i]!;
      const { over } = aggregation;
      if (over?.kind === "time") {
        const asked = asOf - over.micros;
        const hop = RUNGS.findLast((rung) => rung * 60 <= over.micros) ?? 0;
        const isShifted = windowStart !== asked;
        if (isShifted && !(windowStart > asked && windowStart - asked < hop)) {
          throw new Error(`${where}: the window starts at ${windowStart}, ${windowStart - asked} after it should`);
        }
        if (isShifted && view.exactEvents > 0 && asked >= exactSince) {
          throw new Error(
            `${where}: the edge lies among the newest ${view.exactEvents} events, yet the window was moved`,
          );
        }
        if (isShifted) counts.shifted++;
      } else if (over?.kind === "session") {
        if (checkSession(over, windowStart, asOf, oracle, view.exactEvents, where)) counts.cutSessions++;
      } else if (windowStart !== Number.NEGATIVE_INFINITY) {
        throw new Error(`${where}: a window start of ${windowStart} without a time window`);
      }
      const expected = oracle.read(i, asOf, Number.isFinite(windowStart) ? windowStart : undefined);
      // the oracle cannot know which events came too late: what the read states is all that it may be off by
      const isStated = aggregation.fn === "countSessions" && buffer.errors[i]! > 0;
      if (isStated) counts.lateSessions++;
      const tolerance = isStated ? Math.round(buffer.errors[i]! * (buffer.values[i] as number)) : expected.tolerance;
      const value = buffer.values[i]!;
      const status = STATUS_NAMES[buffer.statuses[i]!]!;
      counts.answers++;
      if (buffer.errors[i] !== 0) counts.approximate++;
      else if (expected.tolerance > 0 && STATES_ERROR.has(aggregation.fn)) {
        throw new Error(`${where}: called exact, though the oracle would allow ${expected.tolerance}`);
      }
      if (status !== expected.status || !agrees(value, expected.value, tolerance)) {
        throw new Error(
          `${where}: ${String(value)} ${status}, the oracle says ${String(expected.value)} ${expected.status} (within ${tolerance})`,
        );
      }
    }
  }
}

/**
 * Throws unless a session starts just before its first event, or at the edge of its reach where that is within a
 * hop. True where a bucket astride that edge took events from it: later than the edge, by less than a hop.
 */
function checkSession(
  over: Session,
  windowStart: number,
  asOf: number,
  oracle: NaiveOracle,
  exactEvents: number,
  where: string,
): boolean {
  const edge = asOf - over.maxMicros;
  const hop = RUNGS.findLast((rung) => rung * 60 <= over.maxMicros && rung <= over.gapMicros) ?? 0;
  const first = oracle.session(over, asOf)[0]?.time;
  const whole = first === undefined ? asOf : first - 1 < edge + hop ? edge : first - 1;
  if (windowStart === whole) return false;
  const isMoved = first !== undefined && windowStart >= first && windowStart > edge && windowStart < edge + hop;
  if (!isMoved) throw new Error(`${where}: the session starts at ${windowStart}, not ${whole}`);
  if (exactEvents > 0 && edge >= oracle.timeOfNewest(exactEvents)) {
    throw new Error(`${where}: the edge lies among the newest ${exactEvents} events, yet the session was cut`);
  }
  return true;
}

/** At the newest known time, later, and where some event lies at or beside a window's edge. */
function readTimes(
  view: ViewDefinition,
  knownTime: number,
  events: readonly GeneratedEvent[],
  random: SeededRandom,
): number[] {
  const times = [knownTime, knownTime + random.integer(0, 100_000_000)];
  const windows = view.features.flatMap(({ aggregation: { over } }) => {
    if (over?.kind === "session") return [over.gapMicros, over.maxMicros];
    return over?.kind === "time" ? [over.micros] : [];
  });
  if (windows.length === 0 || events.length === 0) return times;
  for (let i = 0; i < 3; i++) {
    const event = random.pick(events);
    const edge = Math.min(event.eventTime, event.knownTime) + random.integer(-1, 1);
    const asOf = edge + random.pick(windows);
    if (asOf >= knownTime) times.push(asOf);
  }
  return times;
}

function agrees(value: Value, expected: Value, tolerance: number): boolean {
  if (typeof value === "number" && typeof expected === "number") {
    return Object.is(value, expected) || Math.abs(value - expected) <= tolerance;
  }
  if (value instanceof Uint8Array && expected instanceof Uint8Array) return sameBytes(value, expected);
  if (Array.isArray(value) && Array.isArray(expected)) return JSON.stringify(value) === JSON.stringify(expected);
  return value === expected;
}

/** Bytes as a store may hand them out: not at an address a float64 could be read from. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const moved = new Uint8Array(bytes.length + 3).subarray(3);
  moved.set(bytes);
  return moved;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
