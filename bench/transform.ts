/**
 * Time of transformations, in one thread without any input or output: vectors of 20 features transformed, in a
 * mix that a model would have, beside a loop that only scales 20 numbers.
 */
import type { TransformationDefinition, TransformationNode } from "../src/define/definition.ts";
import { transformationType } from "../src/define/transformation-type.ts";
import {
  bucketize,
  clip,
  cross,
  hashBucket,
  impute,
  log1p,
  minMax,
  oneHot,
  ordinal,
  quantileBins,
  standardize,
} from "../src/define/transformation.ts";
import { Status, type StatusCode } from "../src/fold/view-fold.ts";
import type { Value, ValueType } from "../src/schema/value.ts";
import { SeededRandom } from "../src/testing/random.ts";
import { compileTransformations } from "../src/vector/transformations/compile.ts";
import { fitTransformations } from "../src/vector/transformations/fit.ts";
import { report } from "./report.ts";

const ROWS = 20_000;
const PASSES = 5;
const ROUNDS = 5;
const NUMBERS = Array.from({ length: 16 }, (_, i) => `x${i}`);
const TEXTS = ["carrier", "origin", "destination", "tail"] as const;

const transform: Readonly<Record<string, { readonly node: TransformationNode }>> = {
  ...Object.fromEntries(
    NUMBERS.slice(0, 6).map((name) => [name, standardize(log1p(clip(impute(name, "median"), { low: 0 })))]),
  ),
  ...Object.fromEntries(NUMBERS.slice(6, 10).map((name) => [name, standardize(impute(name, "mean"))])),
  ...Object.fromEntries(NUMBERS.slice(10, 12).map((name) => [name, minMax(name)])),
  ...Object.fromEntries(NUMBERS.slice(12, 14).map((name) => [name, quantileBins(name, { bins: 10 })])),
  ...Object.fromEntries(NUMBERS.slice(14).map((name) => [name, bucketize(name, [0, 15, 60, 120])])),
  carrier: oneHot("carrier", { max: 20 }),
  origin: ordinal("origin"),
  tail: hashBucket("tail", { buckets: 1000 }),
  destination: cross(["origin", "destination"], { buckets: 10_000 }),
};

const random = new SeededRandom(1);
const words = Array.from({ length: 300 }, (_, i) => `W${i * 7919}`);
const rows: Value[][] = Array.from({ length: ROWS }, () => [
  ...NUMBERS.map(() => (random.oneIn(20) ? null : (random.next() - 0.2) * 200)),
  ...TEXTS.map((_, i) => words[Math.floor(random.next() ** 2 * (i === 0 ? 20 : 300))]!),
]);
const statuses: StatusCode[][] = rows.map((row) =>
  row.map((value) => (value === null ? Status.NULL_VALUE : Status.PRESENT)),
);

const names = [...NUMBERS, ...TEXTS];
const types = names.map((_, i): ValueType => ({ name: i < NUMBERS.length ? "float64" : "string" }));
const service = {
  name: "bench",
  features: names.map((name) => ({ view: "v", version: 1, feature: name, as: name })),
  transform: Object.entries(transform).map(([name, { node }]): TransformationDefinition => {
    const type = transformationType(node, new Map(names.map((each, i) => [each, types[i]!])));
    if (typeof type === "string") throw new Error(type);
    return { name, type, node };
  }),
};
const columns = names.map((_, i) => ({ value: (row: number) => rows[row]![i]! }));
const everyRow = Int32Array.from(rows, (_, row) => row);

let checksum = 0;

function fitAll(): number {
  const began = performance.now();
  checksum += fitTransformations(service, types, columns, everyRow).length;
  return (performance.now() - began) / 1000;
}

const compiled = compileTransformations(service, types, fitTransformations(service, types, columns, everyRow));
const slots = { values: [] as Value[], statuses: [] as StatusCode[] };
const outSlots = compiled.outputs.map(({ slot }) => slot);
const out: Value[] = names.map(() => null);

function vectorsPerSecond(run: (row: readonly Value[], at: number) => void): number {
  const began = performance.now();
  for (let pass = 0; pass < PASSES; pass++) {
    for (let at = 0; at < ROWS; at++) {
      run(rows[at]!, at);
      checksum += typeof out[0] === "number" ? out[0] : 0;
    }
  }
  return (PASSES * ROWS * 1000) / (performance.now() - began);
}

function applied(row: readonly Value[], at: number): void {
  const given = statuses[at]!;
  for (let i = 0; i < row.length; i++) {
    slots.values[i] = row[i]!;
    slots.statuses[i] = given[i]!;
  }
  compiled.run(slots);
  for (let i = 0; i < outSlots.length; i++) out[i] = slots.values[outSlots[i]!]!;
}

/** What no program could do without: a null check, a subtraction and a division a value. */
function plainScaling(row: readonly Value[]): void {
  for (let i = 0; i < row.length; i++) {
    const value = row[i]!;
    out[i] = typeof value === "number" ? (value - 20) / 57 : value;
  }
}

vectorsPerSecond(applied);
vectorsPerSecond(plainScaling);
const apply = Array.from(
  { length: ROUNDS },
  () => [vectorsPerSecond(applied), vectorsPerSecond(plainScaling)] as const,
);
if (!process.argv.includes("--json")) {
  console.log(`beside it, a plain loop of 20 scalings: ${Math.round(apply[0]![1])} vectors/s`);
}
report({
  bench: "transform",
  case: "apply, 20 features",
  unit: "vectors/s",
  better: "higher",
  rounds: apply.map(([rate]) => rate),
  goal: 200_000,
});
fitAll();
report({
  bench: "transform",
  case: "fit, 20 features",
  unit: "rows/s",
  better: "higher",
  rounds: Array.from({ length: ROUNDS }, () => ROWS / fitAll()),
  goal: 50_000,
});
if (!Number.isFinite(checksum)) throw new Error("the vectors hold no numbers");
