/**
 * Promises where users' functions should give values: no values, and no end of the process when they reject.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OnDemandDefinition } from "../../src/define/definition.ts";
import type { CustomAggregation } from "../../src/define/aggregation-definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { Status } from "../../src/fold/view-fold.ts";
import type { Micros } from "../../src/base/micros.ts";
import { onDemandStep } from "../../src/vector/on-demand-step.ts";
import { createSlots } from "../../src/vector/vector-slots.ts";
import {
  feature,
  float64,
  foldRow,
  HOUR,
  int64,
  readAll,
  SECOND,
  streamOf,
  time,
  user,
  viewOf,
} from "./definitions.ts";

const stream = streamOf({ n: int64 });
const noon = time("2026-03-01T12:00:00Z");
const over = { kind: "time", micros: HOUR } as const;
const failing = (): Promise<never> => Promise.reject(new Error("too late to be heard"));

const heard: unknown[] = [];
const listener = (reason: unknown): void => void heard.push(reason);

beforeEach(() => {
  heard.length = 0;
  process.on("unhandledRejection", listener);
});
afterEach(() => void process.off("unhandledRejection", listener));

/** Rejections are told once the turn is over. */
async function nothingIsHeard(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(heard).toEqual([]);
}

const counting: CustomAggregation = {
  name: "counting",
  output: float64,
  empty: () => 0,
  add: (state) => (state as number) + 1,
  merge: (earlier, later) => (earlier as number) + (later as number),
  read: (state) => state as number,
};

function foldOf(custom: Partial<CustomAggregation>): ReturnType<typeof compileViewFold> {
  const aggregation = { fn: "custom", column: "n", custom: { ...counting, ...custom }, over } as const;
  return compileViewFold(viewOf([feature(float64, aggregation)], { exactEvents: 2 }), stream, user);
}

describe("a promise that rejects", () => {
  it.each([
    ["add", { add: failing }],
    ["add, inside of its state", { add: () => ({ deep: [failing()] }) }],
  ])("from %s is poison", async (_, custom) => {
    const fold = foldOf(custom);
    const state = fold.empty();
    expect(foldRow(fold, state, 0, noon, [1]).kind).toBe("poison");
    await nothingIsHeard();
  });

  it.each([
    ["merge", { merge: failing }],
    ["read", { read: failing as never }],
  ])("from %s is an ERROR", async (_, custom) => {
    const fold = foldOf(custom);
    const state = fold.empty();
    for (let i = 0; i < 400; i++) foldRow(fold, state, i, noon + i * SECOND, [1]);
    expect(readAll(fold, state, noon + 400 * SECOND)).toMatchObject({ values: [null], statuses: ["ERROR"] });
    await nothingIsHeard();
  });

  it.each<[string, () => unknown]>([
    ["itself", failing],
    ["an output", () => ({ list: failing() })],
    ["an element of a list", () => ({ list: [1, failing(), failing()] })],
  ])("as %s of an on-demand view is no value", async (_, compute) => {
    const definition: OnDemandDefinition = {
      kind: "on-demand",
      name: "promising",
      version: 1,
      inputs: [],
      request: [],
      outputs: [{ name: "list", type: { name: "array", element: float64 } }],
      compute,
    };
    const slots = createSlots(1);
    onDemandStep(definition, { inputSlots: [], requestPlaces: [], outputSlots: [0] })(slots, [], noon as Micros);
    expect([slots.statuses[0], slots.codes[0]]).toEqual([Status.ERROR, "ON_DEMAND_OUTPUT_INVALID"]);
    await nothingIsHeard();
  });
});
