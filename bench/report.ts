/**
 * How every benchmark reports: one JSON line a case with `--json`, else a readable line.
 */
import { cpus } from "node:os";

export interface BenchCase {
  readonly bench: string;
  readonly case: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** One measurement a round; the median is the value. */
  readonly rounds: readonly number[];
  /** Measured in the same run, round by round beside the case. */
  readonly reference?: { readonly name: string; readonly rounds: readonly number[] };
  /** On the ratio to the reference where there is one, else on the value. None: a figure to know, not to judge. */
  readonly goal?: number;
}

/** Prints the case; false where it misses its goal. */
export function report(measured: BenchCase): boolean {
  const { bench, unit, better, rounds, reference, goal } = measured;
  if (rounds.length === 0) throw new Error(`${bench} ${measured.case} was not measured`);
  const value = median(rounds);
  const referenceValue = reference === undefined ? undefined : median(reference.rounds);
  const ratio = referenceValue === undefined ? undefined : value / referenceValue;
  const judged = ratio ?? value;
  const pass = goal === undefined || (better === "higher" ? judged >= goal : judged <= goal);
  const line = {
    bench,
    case: measured.case,
    value: rounded(value),
    unit,
    better,
    ...(reference === undefined ? {} : { reference: { name: reference.name, value: rounded(referenceValue!) } }),
    ...(ratio === undefined ? {} : { ratio: rounded(ratio) }),
    ...(goal === undefined ? {} : { goal, pass }),
    rounds: rounds.length,
    min: rounded(Math.min(...rounds)),
    max: rounded(Math.max(...rounds)),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown"}, Node ${process.versions.node}`,
  };
  if (process.argv.includes("--json")) console.log(JSON.stringify(line));
  else {
    const beside =
      ratio === undefined ? "" : `, ${line.ratio} of ${reference!.name} (${line.reference!.value} ${unit})`;
    const goalUnit = ratio === undefined ? ` ${unit}` : "";
    const verdict = goal === undefined ? "" : `; ${pass ? "meets" : "MISSES"} its goal of ${goal}${goalUnit}`;
    console.log(`${bench} ${measured.case}: ${line.value} ${unit}${beside}${verdict} [${line.min} to ${line.max}]`);
  }
  return pass;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Three or more significant digits. */
function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
