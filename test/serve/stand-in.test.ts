/** A name that was moved to a version that is still being built goes on meaning the one that it was moved from. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { micros } from "../../src/base/micros.ts";
import { OnefoldError } from "../../src/base/errors.ts";
import type { ServiceDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { createFeatureReader, type FeatureReader } from "../../src/serve/feature-reader.ts";
import { STAND_IN_MILLIS } from "../../src/serve/stand-in.ts";
import { createWorld, definitions, HOUR, type World } from "./served-world.ts";

const versions = [1, 2, 3].map((version): ServiceDefinition => {
  const view = version === 3 ? "destination_delays" : "origin_delays";
  const features = [{ view, version: version === 2 ? 2 : 1, feature: "arrivals_1h", as: `arrivals_v${version}` }];
  return { kind: "service", name: "delay", features, ...(version === 1 ? {} : { version }) };
});

const destination = definitions.find((one) => one.name === "destination_delays") as ViewDefinition;

let world: World;
let reader: FeatureReader;
let unready: Set<string>;
let broken: Set<string>;

beforeEach(async () => {
  world = await createWorld([...definitions, { ...destination, version: 2 }, ...versions]);
  world.isSampling = false;
  unready = new Set();
  broken = new Set();
  const { view } = world;
  Object.assign(world, {
    view: (name: string, version: number | "dev") => {
      if (unready.has(`${name}@${version}`)) throw new OnefoldError("NOT_READY", `view ${name} is being built`);
      if (broken.has(`${name}@${version}`))
        throw new OnefoldError("FINGERPRINT_MISMATCH", `the code of ${name} is another`);
      return view(name, version);
    },
  });
  reader = createFeatureReader(world);
});

async function move(name: string, version: number, keepMicros = HOUR): Promise<void> {
  const kind = name === "delay" ? ("service" as const) : ("view" as const);
  const target = `${name}@${version}`;
  await world.registry.moveAlias({
    action: "promote",
    kind,
    target,
    by: "ada",
    keepMicros: micros(keepMicros) as never,
  });
  world.revisionNumber++;
}

function answered(name = "delay"): string {
  const plan = reader.servicePlan(name);
  return `${plan.service}: ${plan.outputs.map((one) => one.name).join()}`;
}

describe("a service", () => {
  it("is answered by the version before, until the new one is ready, without another word of the registry", async () => {
    await move("delay", 1);
    unready.add("origin_delays@2");
    await move("delay", 2);
    expect(answered()).toBe("delay: arrivals_v1");
    expect(answered("delay@prod")).toBe("delay: arrivals_v1");
    expect(() => answered("delay@2")).toThrow(/being built/);
    unready.clear();
    await sleep(2 * STAND_IN_MILLIS);
    expect(answered()).toBe("delay@2: arrivals_v2");
    expect(answered("delay@prod")).toBe("delay@2: arrivals_v2");
  });

  it("is answered by the latest of those it has left that is ready, and by none that is not kept any more", async () => {
    for (const version of [1, 2, 3]) await move("delay", version);
    unready.add("destination_delays@1");
    expect(answered()).toBe("delay@2: arrivals_v2");
    unready.add("origin_delays@2");
    await sleep(2 * STAND_IN_MILLIS);
    expect(answered()).toBe("delay: arrivals_v1");
    world.clock.advanceTo(micros(world.clock.now() + 2 * HOUR));
    await sleep(2 * STAND_IN_MILLIS);
    expect(() => answered()).toThrow(/being built/);
  });

  it("is not answered by a version that was rolled back from, until that is promoted again", async () => {
    for (const version of [1, 2, 3]) await move("delay", version);
    await world.registry.moveAlias({ action: "rollback", kind: "service", name: "delay", by: "ada" });
    world.revisionNumber++;
    expect(answered()).toBe("delay@2: arrivals_v2");
    unready.add("origin_delays@2");
    await sleep(2 * STAND_IN_MILLIS);
    world.revisionNumber++;
    expect(answered()).toBe("delay: arrivals_v1");
    for (const version of [3, 2]) await move("delay", version);
    expect(answered()).toBe("delay@3: arrivals_v3");
  });

  it("keeps no answer of a stand-in to give it again", async () => {
    world.arrive({ origin: "JFK" });
    await move("delay", 1);
    unready.add("origin_delays@2");
    await move("delay", 2);
    const plan = reader.servicePlan("delay");
    const asked = { space: 0, bytes: Buffer.from("asked"), start: 0, end: 5 };
    reader.read(plan, ["JFK"] as never);
    reader.keepAnswer(asked, { plan, keys: ["JFK"] as never }, { bytes: Buffer.from("9"), start: 0, end: 1 });
    expect(reader.findAnswer(asked)).toBeNull();
  });
});

it("features by name, and by reference, are those of a version that is ready", async () => {
  await move("origin_delays", 1);
  unready.add("origin_delays@2");
  await move("origin_delays", 2);
  const names = ["origin_delays:arrivals_1h", "origin_delays@prod:arrivals_1h"];
  const read = (): readonly (readonly string[])[] => [
    reader.featurePlan("airport", names).qualifiedNames,
    reader.referencePlan(["origin_delays:arrivals_1h"], false).qualifiedNames,
  ];
  const of = (version: number): string => `origin_delays@${version}:arrivals_1h`;
  expect(read()).toEqual([[of(1), of(1)], [of(1)]]);
  // What only the new version has is not there yet, and says so.
  expect(() => reader.featurePlan("airport", ["origin_delays:last_delay"])).toThrow(/being built/);
  unready.clear();
  await sleep(2 * STAND_IN_MILLIS);
  expect(read()).toEqual([[of(2), of(2)], [of(2)]]);
});

it("what is wrong with a version that is meant is said as it is, and not that another is not ready", async () => {
  for (const version of [1, 2]) {
    await move("origin_delays", version);
    await move("destination_delays", version);
  }
  unready.add("origin_delays@2");
  broken.add("destination_delays@2");
  // Those who do not ask for it are not told of it.
  expect(reader.featurePlan("airport", ["origin_delays:arrivals_1h"]).qualifiedNames).toEqual([
    "origin_delays@1:arrivals_1h",
  ]);
  const both = ["origin_delays:arrivals_1h", "destination_delays:arrivals_1h"];
  expect(() => reader.featurePlan("airport", both)).toThrow(expect.objectContaining({ code: "FINGERPRINT_MISMATCH" }));
});
