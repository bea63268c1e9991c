/**
 * What leaking would have cost: the same label rows joined twice, with what was known at each one's time and with
 * what is known in the end, and compared value by value.
 *
 * A training set made with final knowledge holds values that no request could have got. The report says in how
 * many rows and by how much, feature by feature.
 */
import { formatMicros, type Micros } from "../base/micros.ts";
import { STATUS_NAMES, type StatusName } from "../fold/view-fold.ts";
import { valueToJson } from "../schema/check-value.ts";
import { formatType, type Value, type ValueType } from "../schema/value.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import { readLabelNames } from "./label-names.ts";
import type { Knowledge } from "./manifest.ts";
import { sameBits } from "./same-bits.ts";
import { planTraining, type TrainingPlan } from "./training-plan.ts";
import { type LabelledRequest, trainPlan, type TrainingSet, type TrainRequest, withLabels } from "./training-set.ts";

/** `out` holds the set as known. */
export interface LeakageRequest extends Omit<TrainRequest, "knowledge"> {
  /** Rows named for each feature, those that change most first; default 3. */
  readonly examplesKept?: number;
}

export interface LeakageExample {
  /** Label row, counted from 1, without a header. */
  readonly row: number;
  /** RFC 3339. */
  readonly time: string;
  /** Canonical key by entity. */
  readonly keys: Readonly<Record<string, string>>;
  /** As JSON. */
  readonly asKnown: unknown;
  readonly final: unknown;
  readonly asKnownStatus: StatusName;
  readonly finalStatus: StatusName;
}

export interface FeatureLeakage {
  /** Of its column. */
  readonly name: string;
  readonly service: string;
  readonly view: string;
  readonly type: string;
  /** Label rows in which the value is another. */
  readonly rowsChanged: number;
  /** Of all label rows, 0 to 1. */
  readonly share: number;
  /** Changed rows in which only one of the two has a value. */
  readonly rowsWithOneValue: number;
  /** Over the changed rows that have both values, of a number; a timestamp's in microseconds. Null where there are none. */
  readonly meanAbsoluteDifference: number | null;
  readonly examples: readonly LeakageExample[];
}

export interface LeakageReport {
  readonly services: readonly string[];
  readonly rows: number;
  /** Label rows in which at least one feature is another. */
  readonly rowsChanged: number;
  /** In the order of the set. */
  readonly features: readonly FeatureLeakage[];
  readonly out: string | null;
  readonly manifest: TrainingSet["manifest"];
}

/** Two sums of the same events in another order may differ by less than this share of the larger one. */
const ROUNDING_SHARE = 1e-9;

/** Joins the labels twice and compares. Throws what `train` throws. */
export async function explainLeakage(request: LeakageRequest): Promise<LeakageReport> {
  const plan = planTraining(request.ports, request.service, request.fit);
  return withLabels(request, plan, (labelled) => leakageOf(labelled, plan));
}

async function leakageOf(
  request: LeakageRequest & Pick<LabelledRequest, "labels">,
  plan: TrainingPlan,
): Promise<LeakageReport> {
  const { out: _out, format: _format, ...unwritten } = request;
  // A set that is written may be in its file alone, so it is made twice; the written one first, since it is refused before any work.
  const written = request.out === undefined ? null : await setOf(request, plan, "as-known");
  const asKnown = await setOf(unwritten, plan, "as-known");
  const final = await setOf(unwritten, plan, "final");
  const kept = request.examplesKept ?? 3;
  const changedRows = new Uint8Array(asKnown.rowCount);
  const compared = asKnown.columns.map((column, i) => compareColumns(column, final.columns[i]!, changedRows, kept));
  const wanted = [...new Set(compared.flatMap(({ rows }) => rows))].sort((a, b) => a - b);
  const named = await readLabelNames(request.ports, request.labels, plan.entities, wanted);
  return {
    services: plan.services.map(({ service }) => service),
    rows: asKnown.rowCount,
    rowsChanged: changedRows.reduce((sum, flag) => sum + flag, 0),
    features: compared.map(({ rows, ...counts }, i) => ({
      ...featureOf(asKnown, i),
      ...counts,
      share: asKnown.rowCount === 0 ? 0 : counts.rowsChanged / asKnown.rowCount,
      examples: rows.map((row) => ({
        row: row + 1,
        time: formatMicros(named.get(row)!.time as Micros),
        keys: named.get(row)!.keys,
        ...valuesAt(row, asKnown.columns[i]!, final.columns[i]!),
      })),
    })),
    out: written?.out ?? null,
    manifest: (written ?? asKnown).manifest,
  };
}

function setOf(request: LabelledRequest, plan: TrainingPlan, knowledge: Knowledge): Promise<TrainingSet> {
  const { onProgress } = request;
  return trainPlan(
    {
      ...request,
      knowledge,
      ...(onProgress === undefined
        ? {}
        : {
            onProgress: (at) =>
              onProgress({ ...at, ...(at.view === undefined ? {} : { view: `${at.view}, ${knowledge}` }) }),
          }),
    },
    plan,
  );
}

interface ComparedColumn extends Pick<FeatureLeakage, "rowsChanged" | "rowsWithOneValue" | "meanAbsoluteDifference"> {
  /** Of the examples. */
  readonly rows: readonly number[];
}

function compareColumns(
  known: FeatureColumn,
  final: FeatureColumn,
  changedRows: Uint8Array,
  kept: number,
): ComparedColumn {
  const isNumber = known.type.name === "int64" || known.type.name === "float64" || known.type.name === "timestamp";
  let rowsChanged = 0;
  let rowsWithOneValue = 0;
  let sum = 0;
  let numbers = 0;
  const largest: { readonly row: number; readonly weight: number }[] = [];
  for (let row = 0; row < known.rowCount; row++) {
    const a = known.value(row);
    const b = final.value(row);
    if (isSame(a, b, known.type)) continue;
    rowsChanged++;
    changedRows[row] = 1;
    const hasOne = (a === null) !== (b === null);
    if (hasOne) rowsWithOneValue++;
    let weight = hasOne ? Number.POSITIVE_INFINITY : 0;
    if (isNumber && a !== null && b !== null) {
      weight = Math.abs(Number(a) - Number(b));
      if (Number.isFinite(weight)) {
        sum += weight;
        numbers++;
      }
    }
    keepLargest(largest, row, weight, kept);
  }
  return {
    rowsChanged,
    rowsWithOneValue,
    meanAbsoluteDifference: numbers === 0 ? null : sum / numbers,
    rows: largest.map(({ row }) => row),
  };
}

function keepLargest(
  largest: { readonly row: number; readonly weight: number }[],
  row: number,
  weight: number,
  kept: number,
): void {
  if (largest.length >= kept && !(weight > (largest.at(-1)?.weight ?? Number.POSITIVE_INFINITY))) return;
  const at = largest.findIndex((other) => weight > other.weight);
  largest.splice(at < 0 ? largest.length : at, 0, { row, weight });
  if (largest.length > kept) largest.pop();
}

/** To the bit, but for what another order of additions makes of a sum; whole numbers and times have no such rounding. */
function isSame(a: Value, b: Value, { name }: ValueType): boolean {
  if (sameBits(a, b)) return true;
  if (name !== "float64" || typeof a !== "number" || typeof b !== "number") return false;
  return Math.abs(a - b) <= ROUNDING_SHARE * Math.max(Math.abs(a), Math.abs(b));
}

function featureOf(set: TrainingSet, index: number): Pick<FeatureLeakage, "name" | "service" | "view" | "type"> {
  const { name, service, view } = set.manifest.features[index]!;
  return { name, service, view, type: formatType(set.columns[index]!.type) };
}

function valuesAt(
  row: number,
  known: FeatureColumn,
  final: FeatureColumn,
): Pick<LeakageExample, "asKnown" | "final" | "asKnownStatus" | "finalStatus"> {
  return {
    asKnown: valueToJson(known.value(row), known.type),
    final: valueToJson(final.value(row), final.type),
    asKnownStatus: STATUS_NAMES[known.status(row)]!,
    finalStatus: STATUS_NAMES[final.status(row)]!,
  };
}
