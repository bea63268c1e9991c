/**
 * Time of transformations, in one thread without any input or output: vectors of 20 features transformed, in a
 * mix that a model would have, beside a loop written by hand for these very 20 features in the same run.
 */
import type { TransformationDefinition, TransformationNode } from "../src/define/transformation-definition.ts";
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
const FIXED = [0, 15, 60, 120];
const TEXTS = ["carrier", "origin", "destination", "tail"] as const;

const transform: Readonly<Record<string, { readonly node: TransformationNode }>> = {
  ...Object.fromEntries(
    NUMBERS.slice(0, 6).map((name) => [name, standardize(log1p(clip(impute(name, "median"), { low: 0 })))]),
  ),
  ...Object.fromEntries(NUMBERS.slice(6, 10).map((name) => [name, standardize(impute(name, "mean"))])),
  ...Object.fromEntries(NUMBERS.slice(10, 12).map((name) => [name, minMax(name)])),
  ...Object.fromEntries(NUMBERS.slice(12, 14).map((name) => [name, quantileBins(name, { bins: 10 })])),
  ...Object.fromEntries(NUMBERS.slice(14).map((name) => [name, bucketize(name, FIXED)])),
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

const fitted = fitTransformations(service, types, columns, everyRow);
const compiled = compileTransformations(service, types, fitted);
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

/** What a transformation was fitted to, whichever it is. */
interface Parameters {
  readonly value: number;
  readonly mean: number;
  readonly deviation: number;
  readonly least: number;
  readonly most: number;
  readonly boundaries: readonly number[];
  readonly categories: readonly string[];
}

function parametersOf(text: string): Parameters {
  const found = fitted.find(({ transformation }) => transformation === text);
  if (found === undefined) throw new Error(text);
  return found.parameters as unknown as Parameters;
}

const scaled = NUMBERS.slice(0, 6).map((name) => {
  const { mean, deviation } = parametersOf(`standardize(log1p(clip(impute(${name}, median), at least 0)))`);
  return { middle: parametersOf(`impute(${name}, median)`).value, mean, deviation };
});
const centred = NUMBERS.slice(6, 10).map((name) => {
  const { mean, deviation } = parametersOf(`standardize(impute(${name}, mean))`);
  return { middle: parametersOf(`impute(${name}, mean)`).value, mean, deviation };
});
const ranges = NUMBERS.slice(10, 12).map((name) => parametersOf(`minMax(${name}, 0 to 1)`));
const bins = NUMBERS.slice(12, 14).map((name) => parametersOf(`quantileBins(${name}, 10 bins)`).boundaries);
const numberOf = (categories: readonly string[]): Map<string, number> => new Map(categories.map((one, i) => [one, i]));
const carriers = numberOf(parametersOf("oneHot(carrier, max 20, unseen other)").categories);
const origins = numberOf(parametersOf("ordinal(origin, max 10000, unseen other)").categories);

/** FNV-1a: less to do than MurmurHash3, and no list of values to tell apart. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The same features by hand: no statuses, no checks of what comes out, the engine's own logarithm. */
function byHand(row: readonly Value[]): void {
  for (let i = 0; i < 6; i++) {
    const { middle, mean, deviation } = scaled[i]!;
    const value = (row[i] ?? middle) as number;
    out[i] = (Math.log1p(Math.max(0, value)) - mean) / deviation;
  }
  for (let i = 6; i < 10; i++) {
    const { middle, mean, deviation } = centred[i - 6]!;
    out[i] = (((row[i] ?? middle) as number) - mean) / deviation;
  }
  for (let i = 10; i < 12; i++) {
    const { least, most } = ranges[i - 10]!;
    out[i] = row[i] === null ? null : ((row[i] as number) - least) / (most - least);
  }
  for (let i = 12; i < 16; i++) {
    const boundaries = i < 14 ? bins[i - 12]! : FIXED;
    const value = row[i] as number | null;
    out[i] = value === null ? null : boundaries.reduce((bin, boundary) => bin + (boundary <= value ? 1 : 0), 0);
  }
  const slots = Array.from<number>({ length: carriers.size + 1 }).fill(0);
  slots[carriers.get(row[16] as string) ?? carriers.size] = 1;
  out[16] = slots;
  out[17] = origins.get(row[17] as string) ?? origins.size;
  out[18] = hashOf(`${row[17] as string}|${row[18] as string}`) % 10_000;
  out[19] = hashOf(row[19] as string) % 1000;
}

vectorsPerSecond(applied);
vectorsPerSecond(byHand);
const apply = Array.from({ length: ROUNDS }, () => [vectorsPerSecond(applied), vectorsPerSecond(byHand)] as const);
report({
  bench: "transform",
  case: "apply, 20 features",
  unit: "vectors/s",
  better: "higher",
  rounds: apply.map(([rate]) => rate),
  reference: { name: "a loop by hand", rounds: apply.map(([, rate]) => rate) },
  goal: 0.333,
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
