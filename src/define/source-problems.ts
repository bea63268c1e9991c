/**
 * What contradicts itself in a source, whether the DSL wrote it or another language did.
 */
import { nearestNames } from "../base/nearest-names.ts";
import { formatType, labelOf, namesOf, sameType, widens } from "../schema/value.ts";
import type { BatchFormat, BatchSourceDefinition, SourceDefinition } from "./definition.ts";
import { expectationProblems } from "./expectation-problems.ts";
import { type ExpressionColumn, ExpressionProblem, expressionType } from "./expression-type.ts";
import type { Expression } from "./expression.ts";
import { columnNameProblems, nameProblems } from "./names.ts";
import { pollProblems } from "./poll-problems.ts";
import { sourceSlaProblems } from "./sla.ts";

/** Stored columns, then derived ones: what aggregations and predicates may name. */
export function columnsOf(source: SourceDefinition): ExpressionColumn[] {
  return [...source.columns.filter(isRead), ...source.derived].map(({ name, type }) => ({ name, type }));
}

function isRead({ dropped }: SourceDefinition["columns"][number]): boolean {
  return dropped !== true;
}

/** A sentence for each contradiction; empty when there is none. */
export function sourceProblems(source: SourceDefinition): string[] {
  const columns = columnsOf(source);
  const names = [...source.columns.flatMap(namesOf), ...source.derived.map(({ name }) => name)];
  return [
    ...nameProblems("its name", source.name),
    ...(source.columns.length === 0 ? ["it has no columns"] : []),
    ...names.flatMap(columnNameProblems),
    ...repeated(names).map((name) => `there are two columns "${name}", by their present names or former ones`),
    ...source.columns.flatMap(wideningProblems),
    ...eventTimeProblems(source),
    ...idProblems(source),
    ...derivedProblems(source),
    ...repeated(source.constraints.map((constraint) => constraint.name)).map(
      (name) => `there are two constraints "${name}"`,
    ),
    ...source.constraints.flatMap((constraint) =>
      predicateProblems(constraint.predicate, columns).map((problem) => `constraint "${constraint.name}": ${problem}`),
    ),
    ...expectationProblems(
      source.expectations,
      columns,
      "source",
      source.derived.map(({ name }) => name),
    ),
    ...sourceSlaProblems(source),
    ...(source.kind === "batch" ? batchProblems(source) : pollProblems(source)),
  ];
}

function wideningProblems(column: SourceDefinition["columns"][number]): string[] {
  const { from, type } = column;
  if (from === undefined || (widens(from, type) && !sameType(from, type))) return [];
  return [
    `column "${labelOf(column)}" is ${formatType(type)}, which does not widen ${formatType(from)}: an int64 may become a float64 or a wide int64`,
  ];
}

function eventTimeProblems(source: SourceDefinition): string[] {
  if (typeof source.eventTime !== "string")
    return ["eventTime is missing: name the column that says when a row happened"];
  const column = source.columns.filter(isRead).find((one) => one.name === source.eventTime);
  if (column === undefined) return [`eventTime: ${missing(source.eventTime, source)}`];
  if (column.type.name !== "timestamp")
    return [`eventTime: column "${column.name}" is ${formatType(column.type)}, not a timestamp`];
  return column.nullable ? [`eventTime: column "${column.name}" cannot be nullable`] : [];
}

function idProblems(source: SourceDefinition): string[] {
  if (source.id === undefined) return [];
  const column = source.columns.filter(isRead).find((one) => one.name === source.id);
  if (column === undefined) return [`id: ${missing(source.id, source)}`];
  if (column.type.name === "string" || column.type.name === "int64") return [];
  return [`id: column "${column.name}" is ${formatType(column.type)}; an id is a string or an int64`];
}

function missing(name: string, source: SourceDefinition): string {
  const names = source.columns.map((column) => column.name);
  const near = nearestNames(name, names);
  return `there is no column "${name}"${near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`}`;
}

function derivedProblems(source: SourceDefinition): string[] {
  const known: ExpressionColumn[] = source.columns.filter(isRead);
  return source.derived.flatMap((derived) => {
    const problems = attempt(() => {
      const type = expressionType(derived.expression, known);
      if (type === null || !sameType(type, derived.type)) {
        throw new ExpressionProblem(
          `its expression is ${type === null ? "null" : formatType(type)}, not ${formatType(derived.type)}`,
        );
      }
    });
    known.push({ name: derived.name, type: derived.type });
    return problems.map((problem) => `derived column "${derived.name}": ${problem}`);
  });
}

/** Why `predicate` is no bool over `columns`; empty when it is one. */
export function predicateProblems(predicate: Expression, columns: readonly ExpressionColumn[]): string[] {
  return attempt(() => {
    const type = expressionType(predicate, columns);
    if (type?.name !== "bool")
      throw new ExpressionProblem(`a predicate is a bool, this is ${type === null ? "null" : formatType(type)}`);
  });
}

function attempt(check: () => void): string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof ExpressionProblem) return [error.message];
    throw error;
  }
}

const BATCH_FORMATS: readonly string[] = [
  "parquet",
  "csv",
  "ndjson",
  "delta",
  "sql",
  "postgres",
] satisfies BatchFormat[];

function batchProblems(source: BatchSourceDefinition): string[] {
  const { format, location, schedule, connectionEnv } = source;
  return [
    ...(BATCH_FORMATS.includes(format) ? [] : [`format "${String(format)}" is none of ${BATCH_FORMATS.join(", ")}`]),
    ...(typeof location !== "string" || location.trim() === "" ? ["location is empty"] : []),
    ...(schedule === undefined ? [] : scheduleProblems(schedule)),
    ...(format === "postgres" && !connectionEnv
      ? ['connection is missing: name the environment variable that holds the URL, as { env: "WAREHOUSE_URL" }']
      : []),
    ...(format !== "postgres" && connectionEnv !== undefined
      ? [`connection is for format postgres, not ${format}`]
      : []),
    ...watermarkProblems(source),
  ];
}

function watermarkProblems(source: BatchSourceDefinition): string[] {
  const { watermark, format, id } = source;
  if (watermark === undefined) {
    const readsAgain = format === "sql" || format === "postgres";
    if (!readsAgain || id !== undefined) return [];
    return ["a query is read anew each time, so its rows need an id, or the source a watermark"];
  }
  const column = source.columns.find(({ name }) => name === watermark.column);
  if (column === undefined) return [`watermark: ${missing(watermark.column, source)}`];
  if (column.as !== undefined)
    return [
      `watermark: column "${column.as}" was renamed, and a watermark is asked for under one name: leave it as it was`,
    ];
  const { name } = column.type;
  if (!["timestamp", "int64", "string"].includes(name))
    return [`watermark: column "${column.name}" is ${formatType(column.type)}, not a timestamp, int64 or string`];
  return [
    ...(column.nullable ? [`watermark: column "${column.name}" cannot be nullable`] : []),
    ...(watermark.lookbackMicros !== undefined && name !== "timestamp"
      ? ["watermark: lookback is for timestamps"]
      : []),
    ...(watermark.lookbackMicros !== undefined && id === undefined
      ? ["watermark: lookback reads rows again, so they need an id"]
      : []),
  ];
}

const CRON_FIELD = /^(?:\*|\d+(?:-\d+)?)(?:\/\d+)?(?:,(?:\*|\d+(?:-\d+)?)(?:\/\d+)?)*$/;
const CRON_RANGES = [
  ["minute", 0, 59],
  ["hour", 0, 23],
  ["day of month", 1, 31],
  ["month", 1, 12],
  ["day of week", 0, 7],
] as const;

/** Problems of a cron expression of five numeric fields: minute, hour, day of month, month, day of week. */
export function scheduleProblems(schedule: string): string[] {
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== 5) return [`schedule "${schedule}" does not have five fields (minute hour day month weekday)`];
  return CRON_RANGES.flatMap(([what, lowest, highest], i) => {
    const field = fields[i]!;
    const isGood =
      CRON_FIELD.test(field) &&
      field.split(",").every((part) => {
        const [range, step] = part.split("/");
        const [from, to] = range!.split("-").map(Number);
        if (step !== undefined && Number(step) === 0) return false;
        if (range === "*") return true;
        return from! >= lowest && from! <= highest && (to === undefined || (to >= from! && to <= highest));
      });
    return isGood ? [] : [`schedule "${schedule}": "${field}" is not a ${what} (${lowest} to ${highest})`];
  });
}

export function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}
