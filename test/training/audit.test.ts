/**
 * The audit of vectors and of states: nothing found where nothing is wrong, and each of fifty injected faults.
 *
 * ONEFOLD_SEED=n moves all of them to other places.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FoldEvent } from "../../src/fold/view-fold.ts";
import type { EntityKey } from "../../src/schema/entity-key.ts";
import type { ServedVector } from "../../src/schema/served-vector.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { auditStates, type StateAuditRequest, type StateAuditResult } from "../../src/training/audit-states.ts";
import { audit } from "../../src/training/audit.ts";
import type { TrainingView } from "../../src/training/ports.ts";
import { sameBits, sameBytes } from "../../src/training/same-bits.ts";
import { definitions, flight } from "./flights.ts";
import { type FoldPath, foldUpTo, type LiveRun, runLive, serve, type Serving, storeOf } from "./live-run.ts";
import { errorOf, minute, START, TrainingWorld } from "./training-world.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 2001);
const FAULTS_OF_A_KIND = 10;
const SPACE = "route_flights@1#0";
const ROUTES = ["SEA|SFO", "SFO|SEA", "SEA|LAX", "LAX|SEA", "JFK|LAX", "LAX|JFK", "BOS|JFK", "JFK|BOS"];

let world: TrainingWorld;
let view: TrainingView;
let events: readonly FoldEvent[];
let servings: readonly Serving[];
let clean: LiveRun;

beforeAll(async () => {
  console.log(`faults are injected by seed ${SEED} (ONEFOLD_SEED)`);
  world = await TrainingWorld.open(definitions);
  view = world.ports.view("route_flights", 1);
  const random = new SeededRandom(SEED);
  let now = 0;
  const flights = Array.from({ length: 240 }, () => {
    const [origin, destination] = random.pick(ROUTES).split("|");
    now += random.integer(0, 4);
    return flight(origin!, destination!, now, random.oneIn(8) ? null : random.integer(-2000, 9000) / 100, {
      happenedAt: now - (random.oneIn(4) ? random.integer(0, 40) : 0),
      seats: random.integer(50, 400),
      plane: `N${random.integer(1, 99)}`,
      cancelled: random.oneIn(5),
    });
  });
  const history = await world.history("flights", flights.slice(0, 60));
  events = [...history, ...(await world.live("flights", flights.slice(60)))];
  servings = Array.from({ length: 300 }, () => {
    const { offset, knownTime } = random.pick(events);
    return {
      afterOffset: offset,
      key: random.pick(ROUTES),
      asOf: knownTime + random.pick([0, 1, random.integer(0, 90 * 60e6)]),
    };
  });
  clean = runLive(view, events, servings);
});
afterAll(() => world.close());

function audited(
  vectors: readonly ServedVector[],
  more: Partial<Parameters<typeof audit>[0]> = {},
): ReturnType<typeof audit> {
  return audit({ ports: world.ports, vectors, ...more });
}

async function auditedStates(
  states: ReadonlyMap<EntityKey, Uint8Array>,
  more: Partial<StateAuditRequest> = {},
): Promise<StateAuditResult> {
  const store = await storeOf(SPACE, states);
  return auditStates({
    ports: world.ports,
    view: "route_flights",
    version: 1,
    states: () => store.scan(SPACE),
    epoch: 0,
    position: () => 180,
    ...more,
  });
}

/** Keys of the states whose bytes differ from the undisturbed run's. */
function changedKeys(states: ReadonlyMap<EntityKey, Uint8Array>): EntityKey[] {
  return [...states.keys()].filter((key) => !sameBytes(states.get(key)!, clean.states.get(key)!));
}

/** How many values are not what the log gives for their token: counted without the audit. */
function wrongValues(vectors: readonly ServedVector[]): number {
  let wrong = 0;
  for (const vector of vectors) {
    const key = vector.keys["route"]!;
    const { lastOffset } = vector.token.reads[0]!;
    const state = lastOffset === null ? null : foldUpTo(view.fold, events, key, lastOffset);
    const right = serve(view, state, key, vector.token.asOf);
    vector.values.forEach((value, i) => {
      if (!sameBits(value, right.values[i]!) || vector.statuses[i] !== right.statuses[i]) wrong++;
    });
  }
  return wrong;
}

describe("an audit of what was not tampered with", () => {
  it("compares every value and every state and finds nothing", async () => {
    expect(clean.vectors.length).toBe(300);
    expect(await audited(clean.vectors)).toEqual({
      vectors: 300,
      compared: 300 * view.fold.features.length,
      mismatched: 0,
      missing: 0,
      pending: 0,
      fellBack: 0,
      firstMismatches: [],
      missingReasons: [],
      clean: true,
    });
    expect(await auditedStates(clean.states)).toEqual({
      states: ROUTES.length,
      mismatched: 0,
      missing: 0,
      pending: 0,
      firstMismatches: [],
      clean: true,
    });
  });
});

describe("an audit finds each of 50 injected faults, and names it", () => {
  const faults = Array.from({ length: FAULTS_OF_A_KIND }, (_, i) => SEED * 1000 + i);

  it.each(faults)("a flipped bit of a stored state (seed %i)", async (seed) => {
    const random = new SeededRandom(seed);
    const key = random.pick(ROUTES);
    const bytes = clean.states.get(key)!.slice();
    const bit = random.integer(0, bytes.length * 8 - 1);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const states = new Map(clean.states).set(key, bytes);
    expect(changedKeys(states)).toEqual([key]);
    const result = await auditedStates(states);
    expect(result).toMatchObject({ states: ROUTES.length, mismatched: 1, missing: 0, pending: 0, clean: false });
    expect(result.firstMismatches[0]).toMatchObject({ view: "route_flights@1", key });
    expect(result.firstMismatches[0]!.explanation).toMatch(
      /one flipped bit|cannot be decoded|stored position|different bits/,
    );
  });

  /** A run whose fold path is tampered with in a way that changes a state; `choose` is asked until it does. */
  function tampered(
    seed: number,
    choose: (random: SeededRandom, own: readonly FoldEvent[]) => { path: FoldPath; offset: number },
  ): {
    readonly run: LiveRun;
    readonly key: EntityKey;
    readonly offset: number;
  } {
    const random = new SeededRandom(seed);
    for (;;) {
      const key = random.pick(ROUTES);
      const { path, offset } = choose(
        random,
        events.filter((event) => view.fold.keyOf(event.row) === key),
      );
      const run = runLive(view, events, servings, path);
      // Two events that the view cannot tell apart may be exchanged without any effect.
      if (changedKeys(run.states).length > 0) return { run, key, offset };
    }
  }

  async function findFault(run: LiveRun, key: EntityKey, explanation: RegExp, offset: number | null): Promise<void> {
    expect(changedKeys(run.states)).toEqual([key]);
    const states = await auditedStates(run.states);
    expect(states).toMatchObject({ states: ROUTES.length, mismatched: 1, missing: 0, pending: 0, clean: false });
    expect(states.firstMismatches[0]).toMatchObject({ key, explanation: expect.stringMatching(explanation) as string });
    if (offset !== null) expect(states.firstMismatches[0]!.explanation).toContain(`offset ${offset} (`);
    const wrong = wrongValues(run.vectors);
    const values = await audited(run.vectors, { mismatchesKept: 3 });
    expect(values).toMatchObject({ vectors: 300, mismatched: wrong, missing: 0, pending: 0, clean: wrong === 0 });
    for (const mismatch of values.firstMismatches) {
      expect(mismatch).toMatchObject({ kind: "value", view: "route_flights@1", keys: { route: key } });
      expect(mismatch.explanation).not.toContain("no single event");
    }
  }

  it.each(faults)("an event lost (seed %i)", async (seed) => {
    const { run, key, offset } = tampered(seed, (random, own) => {
      const lost = random.pick(own);
      return { path: (event) => (event === lost ? [] : [event]), offset: lost.offset };
    });
    await findFault(run, key, /an event was lost|lagged behind its position: without the last event/, offset);
  });

  it.each(faults)("an event doubled (seed %i)", async (seed) => {
    const { run, key, offset } = tampered(seed, (random, own) => {
      const doubled = random.pick(own);
      // Under its own offset the fold would skip the second one.
      return {
        path: (event) => (event === doubled ? [{ ...event, offset: event.offset - 0.5 }, event] : [event]),
        offset: doubled.offset,
      };
    });
    await findFault(run, key, /an event was folded twice/, offset);
  });

  it.each(faults)("two events swapped (seed %i)", async (seed) => {
    const { run, key } = tampered(seed, (random, own) => {
      const place = random.integer(0, own.length - 2);
      const [first, second] = [own[place]!, own[place + 1]!];
      const path: FoldPath = (event) =>
        event === first
          ? [{ ...second, offset: first.offset }]
          : event === second
            ? [{ ...first, offset: second.offset }]
            : [event];
      return { path, offset: first.offset };
    });
    // Which two cannot always be told: exchanging others may give the very same rounding of a sum.
    await findFault(run, key, /two events were folded in the wrong order/, null);
  });

  it.each(faults)("a vector read at another time than its token says (seed %i)", async (seed) => {
    const random = new SeededRandom(seed);
    for (;;) {
      const place = random.integer(0, clean.vectors.length - 1);
      const { keys, token, values } = clean.vectors[place]!;
      const { lastOffset } = token.reads[0]!;
      if (lastOffset === null) continue;
      const state = foldUpTo(view.fold, events, keys["route"]!, lastOffset);
      const wrongAsOf = Math.max(
        state.lastKnownTime,
        token.asOf + random.pick([-1, 1]) * random.integer(1, 120 * 60e6),
      );
      const vector = serve(view, state, keys["route"]!, token.asOf, wrongAsOf);
      const wrong = wrongValues([vector]);
      // Between two edges of its windows a vector is the same at any time.
      if (wrong === 0) continue;
      expect(vector.values).not.toEqual(values);
      const result = await audited(clean.vectors.with(place, vector));
      expect(result).toMatchObject({ vectors: 300, mismatched: wrong, missing: 0, pending: 0, clean: false });
      for (const mismatch of result.firstMismatches) {
        expect(mismatch).toMatchObject({ kind: "value", keys, asOf: token.asOf, lastOffset });
        expect(mismatch.explanation).toMatch(/the values are those of another time|lost|lagged|ahead/);
      }
      return;
    }
  });
});

describe("an audit of vectors", () => {
  const route = (): TrainingView => view;
  const last = (): ServedVector => clean.vectors.findLast((vector) => vector.token.reads[0]!.lastOffset !== null)!;
  const withToken = (vector: ServedVector, token: Partial<ServedVector["token"]>): ServedVector => ({
    ...vector,
    token: { ...vector.token, ...token },
  });
  const reading = (vector: ServedVector, read: Partial<ServedVector["token"]["reads"][number]>): ServedVector =>
    withToken(vector, { reads: [{ ...vector.token.reads[0]!, ...read }] });

  it("finds a token whose asOf lies before what it had folded", async () => {
    const state = foldUpTo(view.fold, events, "SEA|SFO", 179);
    const vector = serve(route(), state, "SEA|SFO", state.lastKnownTime);
    const result = await audited([vector, withToken(vector, { asOf: (state.lastKnownTime - 1) as never })]);
    expect(result.firstMismatches[0]).toMatchObject({
      kind: "time",
      feature: null,
      explanation: expect.stringContaining("lies before") as string,
    });
    expect(result.clean).toBe(false);
  });

  it("finds a token whose position is not the entity's, also where no value shows it", async () => {
    const vector = last();
    const other = events.find((event) => event.offset >= 0 && view.fold.keyOf(event.row) !== vector.keys["route"])!;
    const result = await audited([reading(vector, { lastOffset: other.offset })]);
    expect(result.mismatched).toBeGreaterThan(0);
    expect(result.firstMismatches[0]).toMatchObject({ kind: "position", lastOffset: other.offset });
    const unseen = serve(route(), null, "NOT|SEEN", minute(10));
    expect((await audited([unseen])).clean).toBe(true);
    expect((await audited([reading(unseen, { lastOffset: 3 })])).firstMismatches).toMatchObject([{ kind: "position" }]);
  });

  it("finds one bit of one value, a null turned into a number, and another status", async () => {
    const vector = last();
    const place = vector.values.findIndex(
      (value) => typeof value === "number" && value !== 0 && !Number.isInteger(value),
    );
    const bits = new BigInt64Array(1);
    new Float64Array(bits.buffer)[0] = vector.values[place] as number;
    bits[0]! ^= 1n;
    const changed = { ...vector, values: vector.values.with(place, new Float64Array(bits.buffer)[0]!) };
    expect(await audited([vector, changed])).toMatchObject({
      mismatched: 1,
      firstMismatches: [{ served: changed.values[place], recomputed: vector.values[place] }],
    });
    const empty = vector.values.indexOf(null);
    expect(await audited([{ ...vector, values: vector.values.with(empty, 0) }])).toMatchObject({ mismatched: 1 });
    expect(await audited([{ ...vector, statuses: vector.statuses.with(place, 4) }])).toMatchObject({
      mismatched: 1,
      firstMismatches: [{ servedStatus: "ERROR", recomputedStatus: "PRESENT" }],
    });
  });

  it("counts values behind the archive as pending, and what is gone as missing", async () => {
    const vector = last();
    const count = vector.values.length;
    expect(await audited([reading(vector, { lastOffset: 180 })])).toMatchObject({
      pending: count,
      mismatched: 0,
      compared: 0,
      clean: true,
    });
    const gone = [
      reading(
        { ...vector, features: vector.features.map((name) => name.replace("@1", "@9")) },
        { view: "route_flights@9" },
      ),
      reading(vector, { epoch: 5 }),
      { ...vector, keys: {} },
      withToken(vector, { reads: [] }),
      { ...vector, features: vector.features.with(0, "route_flights@1:no_such") },
    ];
    const result = await audited(gone);
    expect(result).toMatchObject({
      vectors: 5,
      compared: count - 1,
      mismatched: 0,
      missing: 4 * count + 1,
      clean: false,
    });
    expect(result.missingReasons).toEqual(
      expect.arrayContaining([
        "view route_flights@9 is not registered with its code",
        "epoch 5 of route_flights@1 is not archived",
        "a served vector has no key of entity route",
        "a token of service model did not read view route_flights@1",
        "view route_flights@1 has no feature no_such",
      ]),
    );
  });

  it("keeps as many mismatches as asked for, and can be cancelled", async () => {
    const broken = clean.vectors.map((vector) => ({ ...vector, statuses: vector.statuses.with(0, 4) }));
    const result = await audited(broken, { mismatchesKept: 2 });
    expect([result.mismatched, result.firstMismatches.length]).toEqual([300, 2]);
    expect(await errorOf(audited(clean.vectors, { signal: AbortSignal.abort() }))).toMatchObject({ code: "CANCELLED" });
  });
});

describe("an audit of states", () => {
  it("finds an entity without a state, and a state without an entity", async () => {
    const fewer = new Map(clean.states);
    fewer.delete("SEA|LAX");
    expect(await auditedStates(fewer)).toMatchObject({
      states: 7,
      mismatched: 0,
      missing: 1,
      firstMismatches: [
        { key: "SEA|LAX", lastOffset: null, explanation: expect.stringContaining("no state is stored") as string },
      ],
      clean: false,
    });
    const more = new Map(clean.states).set("NOT|SEEN", clean.states.get("SEA|LAX")!);
    expect(await auditedStates(more)).toMatchObject({
      states: 9,
      mismatched: 1,
      missing: 0,
      firstMismatches: [{ key: "NOT|SEEN" }],
    });
  });

  it("finds states that hold less or more than their position says", async () => {
    const behind = events.find((event) => event.offset === 150)!;
    const key = view.fold.keyOf(behind.row);
    const stale = new Map(clean.states).set(key, view.fold.encode(foldUpTo(view.fold, events, key, 149)));
    expect(changedKeys(stale)).toEqual([key]);
    expect(await auditedStates(stale)).toMatchObject({
      mismatched: 1,
      firstMismatches: [{ key, explanation: expect.stringContaining("lagged") as string }],
    });
    // Without a position a state is taken at its own word.
    const { position: _, ...unplaced } = { position: null };
    const store = await storeOf(SPACE, stale);
    const alone = {
      ports: world.ports,
      view: "route_flights",
      version: 1,
      states: () => store.scan(SPACE),
      epoch: 0,
      ...unplaced,
    } as const;
    expect(await auditStates(alone)).toMatchObject({ states: 8, mismatched: 0, clean: true });
    const ahead = await auditedStates(clean.states, { position: () => 150 });
    expect(ahead.mismatched).toBeGreaterThan(0);
    expect(ahead.firstMismatches[0]!.explanation).toMatch(/was never folded: only events below 150 were/);
  });

  it("counts states that hold what is not archived yet as pending", async () => {
    const key = "SEA|SFO";
    const state = foldUpTo(view.fold, events, key, 179);
    view.fold.fold(state, { ...events.at(-1)!, offset: 185 });
    const states = new Map(clean.states).set(key, view.fold.encode(state));
    expect(await auditedStates(states, { position: () => 190 })).toMatchObject({
      states: 8,
      mismatched: 0,
      pending: 1,
      clean: true,
    });
  });

  it("takes every n-th state, and can be cancelled", async () => {
    expect(await auditedStates(clean.states, { sampleEvery: 3 })).toMatchObject({
      states: 3,
      mismatched: 0,
      missing: 0,
    });
    expect(await errorOf(auditedStates(clean.states, { signal: AbortSignal.abort() }))).toMatchObject({
      code: "CANCELLED",
    });
    expect(await errorOf(auditedStates(clean.states, { epoch: 3 }))).toMatchObject({ code: "EPOCH_UNKNOWN" });
  });

  it("works where the key is a derived column", async () => {
    const carriers = world.ports.view("carrier_flights", 1);
    const run = runLive(carriers, events, []);
    const states = (some: ReadonlyMap<EntityKey, Uint8Array>): Promise<StateAuditResult> =>
      auditedStates(some, { view: "carrier_flights" });
    expect(await states(run.states)).toMatchObject({ states: run.states.size, mismatched: 0, missing: 0, clean: true });
    const [key] = run.states.keys();
    const fewer = new Map(run.states);
    fewer.delete(key!);
    expect(await states(fewer)).toMatchObject({ missing: 1, firstMismatches: [{ key }] });
    const vectors = [...run.states].map(([name, bytes]) =>
      serve(carriers, carriers.fold.decode(bytes), name, START + 1e12),
    );
    expect(await audited(vectors)).toMatchObject({ vectors: run.states.size, mismatched: 0, missing: 0, clean: true });
  });
});

describe("an audit across epochs", () => {
  it("holds vectors of an earlier epoch against the history of theirs", async () => {
    const own = await TrainingWorld.open(definitions);
    try {
      const first = flight("SEA", "SFO", 1, 1);
      const second = flight("SEA", "SFO", 3, 4);
      const route = own.ports.view("route_flights", 1);
      const before = [
        ...(await own.history("flights", [first, second])),
        ...(await own.live("flights", [flight("SEA", "SFO", 10, 8)])),
      ];
      const old = serve(route, foldUpTo(route.fold, before, "SEA|SFO", 0), "SEA|SFO", minute(11));
      const history = await own.history("flights", [first, flight("SEA", "SFO", 2, 2), second], "replace");
      const after = [...history, before.at(-1)!];
      const now = serve(route, foldUpTo(route.fold, after, "SEA|SFO", 0), "SEA|SFO", minute(11));
      const reads = now.token.reads.map((read) => ({ ...read, epoch: 1 }));
      const fresh = { ...now, token: { ...now.token, reads } };
      const vectors = [old, fresh];
      expect(old.values).not.toEqual(fresh.values);
      expect(await audit({ ports: own.ports, vectors })).toMatchObject({
        vectors: 2,
        mismatched: 0,
        missing: 0,
        clean: true,
      });
      expect((await audit({ ports: own.ports, vectors: [{ ...fresh, token: old.token }] })).mismatched).toBeGreaterThan(
        0,
      );
    } finally {
      await own.close();
    }
  });
});
