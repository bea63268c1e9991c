/** The committed data of expected.json, and what SciPy and Evidently say of it (generate-expected.py). */
import { readFileSync } from "node:fs";
import { profileCategories } from "../../../src/monitor/drift/category-profile.ts";
import type { MeasureName } from "../../../src/monitor/drift/choose-measure.ts";
import { profileNumbers } from "../../../src/monitor/drift/numeric-profile.ts";
import type { Profile, ProfileBounds } from "../../../src/monitor/drift/profile.ts";

type Data = readonly (number | string | null)[];
type Made = readonly [count: number, start: number, step: number, modulus: number];

interface Tail {
  readonly statistic: number;
  readonly p_value: number;
}

interface StoredCase {
  readonly type: "float64" | "int64" | "string";
  readonly reference?: Data;
  readonly current?: Data;
  readonly made?: readonly [Made, Made];
  readonly default: MeasureName;
  readonly threshold: number;
  readonly drifted: boolean;
  readonly measures: Readonly<Partial<Record<MeasureName, number>>>;
  readonly missing: { readonly reference: number; readonly current: number; readonly p_value: number };
  readonly ks?: Tail;
  readonly wasserstein_distance?: number;
  readonly contingency?: Tail;
  readonly l_infinity?: number;
}

export interface ExpectedCase extends StoredCase {
  readonly reference: Data;
  readonly current: Data;
}

interface Expected {
  readonly cases: Readonly<Record<string, StoredCase>>;
  /** n, d, p */
  readonly kolmogorov: readonly [number, number, number][];
  /** m, n, d, p */
  readonly twoSample: readonly [number, number, number, number][];
  /** x, degrees of freedom, p */
  readonly chiSquare: readonly [number, number, number][];
}

export const expected: Expected = JSON.parse(
  readFileSync(new URL("expected.json", import.meta.url), "utf8"),
) as Expected;

export const expectedCases: readonly (readonly [string, ExpectedCase])[] = Object.entries(expected.cases).map(
  ([name, { made, ...stored }]) => [
    name,
    { ...stored, reference: stored.reference ?? spread(made![0]), current: stored.current ?? spread(made![1]) },
  ],
);

/** As the script makes them. */
function spread([count, start, step, modulus]: Made): number[] {
  return Array.from({ length: count }, (_, i) => ((start + i * step) % modulus) / 64);
}

export function profileOf(data: Data, type: ExpectedCase["type"], { binsMax, categoriesMax }: ProfileBounds): Profile {
  const there = data.filter((value) => value !== null);
  const missing = data.length - there.length;
  return type === "string"
    ? profileCategories(there as string[], missing, categoriesMax)
    : profileNumbers(Float64Array.from(there as number[]), missing, binsMax);
}
