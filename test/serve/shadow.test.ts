/** What a shadow would have said, computed beside answers: compared at one moment, bounded, and never in their way. */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/base/errors.ts";
import { createFeatureReader, type FeatureReader } from "../../src/serve/feature-reader.ts";
import { chosenOf } from "../../src/serve/experiment-plan.ts";
import { serviceKeys } from "../../src/serve/entity-input.ts";
import type { ServePorts } from "../../src/serve/ports.ts";
import { SHADOWS_WAITING_MAX } from "../../src/serve/shadow-queue.ts";
import type { ShadowNames, ShadowSight } from "../../src/serve/shadow-sight.ts";
import { byAirport, experimentDefinitions } from "./experiment-world.ts";
import { createWorld, MINUTE, type World } from "./served-world.ts";
import { micros } from "../../src/base/micros.ts";

interface Seen {
  readonly names: ShadowNames;
  readonly served: Readonly<Record<string, unknown>>;
  readonly shadow: Readonly<Record<string, unknown>>;
  readonly isOneMoment: boolean;
}

const watched = {
  ...byAirport,
  name: "watched",
  weights: [1, 0],
  shadow: { service: "delay_rich", version: 1, share: 1 },
};

let world: World;
let reader: FeatureReader;
let seen: Seen[];
let failed: ErrorCode[];
let dropped: number;
let takes: (share: number) => boolean;

beforeEach(async () => {
  world = await createWorld([...experimentDefinitions, watched]);
  seen = [];
  failed = [];
  dropped = 0;
  takes = () => true;
  const sight: ShadowSight = {
    takes: (share) => takes(share),
    compared: (names, served, shadow) => {
      const valuesOf = ({ plan, vector }: typeof served): Record<string, unknown> =>
        Object.fromEntries(plan.outputs.map(({ name }, i) => [name, vector.values[i]]));
      const isOneMoment = served.vector.asOf === shadow.vector.asOf;
      seen.push({ names, served: valuesOf(served), shadow: valuesOf(shadow), isOneMoment });
    },
    failed: (_names, code) => void failed.push(code),
    dropped: () => void dropped++,
  };
  Object.assign(world, { shadow: sight } satisfies Pick<ServePorts, "shadow">);
  reader = createFeatureReader(world);
});

function ask(origin: string, name = "watched"): unknown {
  const named = reader.named(name);
  const keys = serviceKeys(named.entities, { airport: origin, origin, destination: "LAX" });
  const { plan, keys: chosen, ...options } = chosenOf(named, keys, []);
  return reader.read(plan, chosen, options).values[0];
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!isSo() && performance.now() < endMs) await sleep(1);
  expect(isSo()).toBe(true);
}

describe("a shadow", () => {
  it("is read at one moment with what was served, behind the answer, and is not recorded", async () => {
    world.arrive({ origin: "JFK", delay: 8 });
    expect(ask("JFK")).toBe(8);
    expect(seen).toEqual([]);
    await until(() => seen.length === 1);
    expect(seen).toEqual([
      {
        names: expect.objectContaining({ experiment: "watched", served: "delay_plain@1", shadow: "delay_rich@1" }),
        served: { mean_delay_1h: 8 },
        shadow: { route_arrivals_1h: 1, mean_delay_1h: 8, arrivals_1h: 1 },
        isOneMoment: true,
      },
    ]);
    expect(world.recorded.map(({ service }) => service)).toEqual(["delay_plain"]);
  });

  it("sees no event for one side alone, though some come between the answer and it", async () => {
    world.arrive({ origin: "JFK", delay: 8 });
    ask("JFK");
    world.clock.advanceTo(micros(world.clock.now() + MINUTE));
    world.arrive({ origin: "JFK", delay: 2 });
    await until(() => seen.length === 1);
    expect(seen[0]!.served["mean_delay_1h"]).toBe(5);
    expect(seen[0]!.shadow["mean_delay_1h"]).toBe(5);
    expect(seen[0]!.isOneMoment).toBe(true);
  });

  it("is read before what was served, and behind it, in turn, so that neither alone waits for states", async () => {
    const order: string[] = [];
    const { view } = world;
    const watchedViews = new Set<object>();
    Object.assign(world, {
      view: (name: string, version: number | "dev") => {
        const served = view(name, version);
        const { state } = served;
        if (watchedViews.has(served)) return served;
        watchedViews.add(served);
        return Object.assign(served, {
          state: (key: Parameters<typeof state>[0]) => {
            order.push(`${name}@${version}`);
            return state(key);
          },
        });
      },
    });
    world.arrive({ origin: "JFK", delay: 8 });
    const first: string[] = [];
    for (let asked = 1; asked <= 4; asked++) {
      expect(ask("JFK")).toBe(8);
      order.length = 0;
      await until(() => seen.length === asked);
      first.push(order[0]!);
      expect(order.toSorted()).toEqual(["origin_delays@1", "origin_delays@2", "route_delays@1"]);
    }
    expect(first).toEqual(["route_delays@1", "origin_delays@1", "route_delays@1", "origin_delays@1"]);
    expect(seen.map(({ served }) => served["mean_delay_1h"])).toEqual([8, 8, 8, 8]);
    expect(seen.map(({ shadow }) => shadow["mean_delay_1h"])).toEqual([8, 8, 8, 8]);
  });

  it("is computed for the share that is taken alone, and not beside itself or for other experiments", async () => {
    const shares: number[] = [];
    takes = (share) => shares.push(share) % 2 === 0;
    for (let i = 0; i < 10; i++) ask("JFK");
    ask("JFK", "by_airport");
    await until(() => seen.length === 5);
    await setImmediate();
    expect([seen.length, shares.length]).toEqual([5, 10]);
    await world.registry.stepExperiment("watched", { serve: "delay_rich@1" }, null);
    world.revisionNumber++;
    ask("JFK");
    await setImmediate();
    expect([seen.length, shares.length]).toEqual([5, 10]);
  });

  it("is passed over and counted where too many wait, and costs the answers nothing but that", async () => {
    const count = 3 * SHADOWS_WAITING_MAX;
    for (let i = 0; i < count; i++) ask("JFK");
    expect(dropped).toBe(count - SHADOWS_WAITING_MAX);
    // Of those that wait some may come too late on a slow machine: they are counted, too.
    await until(() => seen.length + dropped === count);
    expect(seen.length).toBeGreaterThan(0);
    ask("JFK");
    await until(() => seen.length + dropped === count + 1);
    expect(failed).toEqual([]);
  });

  it("fails by itself: the answer is there, and the failure is counted", async () => {
    world.arrive({ origin: "JFK", delay: 8 });
    const { view } = world;
    Object.assign(world, {
      view: (name: string, version: number | "dev") => {
        if (name === "route_delays") throw Object.assign(new Error("not here"), { code: "NOT_READY" });
        return view(name, version);
      },
    });
    for (let i = 0; i < 3; i++) expect(ask("JFK")).toBe(8);
    await until(() => failed.length === 3);
    expect([seen.length, dropped]).toEqual([0, 0]);
  });

  it("is computed where states are fetched before they are read, too", async () => {
    let fetches = 0;
    Object.assign(world, {
      fetch: async () => {
        fetches++;
        return {};
      },
    });
    reader = createFeatureReader(world);
    world.arrive({ origin: "JFK", delay: 8 });
    ask("JFK");
    await until(() => seen.length === 1);
    expect(fetches).toBe(1);
    expect(seen[0]!.shadow["mean_delay_1h"]).toBe(8);
  });
});
