/** Answers whose states are fetched while what is registered changes: made by the plan of before, and kept for nobody. */
import { expect, it } from "vitest";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { newAnswerSpace } from "../../src/serve/kept-answers.ts";
import { createWorld } from "./served-world.ts";

it("are not kept, whoever asked meanwhile", async () => {
  const world = await createWorld();
  world.isSampling = false;
  const reader = createFeatureReader(world);
  const key = ["JFK"] as never;
  const made = { bytes: Buffer.from("9"), start: 0, end: 1 };
  const space = newAnswerSpace();
  const askedFor = (text: string) => ({ space, bytes: Buffer.from(text), start: 0, end: text.length });
  const keepBy = (plan: ReturnType<typeof reader.featurePlan>, text: string): boolean => {
    reader.read(plan, key);
    reader.keepAnswer(askedFor(text), { plan, keys: key }, made);
    return reader.findAnswer(askedFor(text)) !== null;
  };
  const before = reader.featurePlan("airport", ["last_delay"]);
  expect(keepBy(before, "a")).toBe(true);
  world.revisionNumber++;
  // Nobody else has asked since.
  expect(keepBy(before, "b")).toBe(false);
  const present = reader.featurePlan("airport", ["last_delay"]);
  expect(present).not.toBe(before);
  expect(keepBy(before, "c")).toBe(false);
  expect(keepBy(present, "d")).toBe(true);
});
