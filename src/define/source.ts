/**
 * `stream` and `batch`: where rows come from, and what holds of every one of them.
 */
import { MICROS_PER_DAY, MICROS_PER_MINUTE } from "../base/micros.ts";
import type { Column } from "../schema/value.ts";
import type { AnyColumnType, InputRow, KindOf } from "./column-type.ts";
import { callSite, refuse } from "./defined-at.ts";
import type {
  BatchFormat,
  BatchSourceDefinition,
  DerivedColumn,
  Described,
  KafkaTopicDefinition,
  SourceDefinition,
  StreamDefinition,
  WatermarkDefinition,
} from "./definition.ts";
import type { ExpectationDefinition } from "./expectation-definition.ts";
import { duration } from "./duration.ts";
import { type AnyExpectation, Expectation } from "./expectation.ts";
import type { AnyExpr, Expr } from "./expression-builder.ts";
import { type ExpressionColumn, ExpressionProblem, expressionType } from "./expression-type.ts";
import { frozen } from "./frozen.ts";
import { sourceSla, type SourceSlaOptions } from "./sla.ts";
import type { PollDefinition } from "./poll-definition.ts";
import { sourceProblems } from "./source-problems.ts";
import type { DurationText, OfColumn, Problem, Require } from "./typing.ts";
import { checkShape } from "./shape.ts";
import { storedExpectation, storedNames, storedPoll, withStoredNames } from "./stored-names.ts";

type Columns = Readonly<Record<string, AnyColumnType>>;
type Expressions = Readonly<Record<string, AnyExpr>>;

/** Kind by column name, derived columns included. */
export type KindsOf<C, D> = {
  readonly [N in (keyof C | keyof D) & string]: N extends keyof C
    ? KindOf<C[N]>
    : N extends keyof D
      ? KindOfDerived<D[N], KindsOf<C, D>>
      : never;
};

type KindOfDerived<X, Kinds> =
  X extends Expr<any, infer O> ? (O extends OfColumn<infer N> ? (N extends keyof Kinds ? Kinds[N] : never) : O) : never;

type ProblemsOf<X, Kinds> = X extends Expr<infer N, any> ? Problem<N, Kinds> : never;
type PredicateProblems<X, Kinds> = X extends Expr<infer N, infer O> ? Problem<N | Require<O, "bool">, Kinds> : never;

type CheckedDerived<D, Kinds> = {
  readonly [N in keyof D]: [ProblemsOf<D[N], Kinds>] extends [never] ? D[N] : ProblemsOf<D[N], Kinds>;
};
type CheckedRequire<R, Kinds> = {
  readonly [N in keyof R]: [PredicateProblems<R[N], Kinds>] extends [never] ? R[N] : PredicateProblems<R[N], Kinds>;
};

type NamesOfKind<C, K> = { [N in keyof C]: KindOf<C[N]> extends K ? N : never }[keyof C] & string;

type ExpectationProblems<X, Kinds> = X extends Expectation<infer N, any> ? Problem<N, Kinds> : never;
type CheckedExpect<X, Kinds> = {
  readonly [I in keyof X]: [ExpectationProblems<X[I], Kinds>] extends [never] ? X[I] : ExpectationProblems<X[I], Kinds>;
};
type Expectations = readonly AnyExpectation[];

interface SourceOptions<
  C extends Columns,
  D extends Expressions,
  R extends Expressions,
  X extends Expectations,
> extends Described {
  readonly columns: C;
  /** The timestamp column that says when an event happened. */
  readonly eventTime: NamesOfKind<C, "timestamp">;
  /** The column that identifies an event: a second one with the same id is dropped. */
  readonly id?: NamesOfKind<C, "string" | "int64" | "wide int64">;
  /** Columns computed from the row, in order; each may use those before it. */
  readonly derive?: D;
  /** Named predicates that every row must satisfy, else it becomes a dead letter. */
  readonly require?: R;
  /** What is expected of columns and of the rate at which events come, and what becomes of what is otherwise. */
  readonly expect?: X;
  /** Lets NaN and infinities in. */
  readonly allowNonFinite?: boolean;
  /** What it promises of its freshness (docs/monitoring.md). */
  readonly sla?: SourceSlaOptions;
}

interface CheckedOptions<C extends Columns, D extends Expressions, R extends Expressions, X extends Expectations> {
  readonly derive?: CheckedDerived<D, KindsOf<C, D>>;
  readonly require?: CheckedRequire<R, KindsOf<C, D>>;
  readonly expect?: CheckedExpect<X, KindsOf<C, D>>;
}

interface SourceTypes<C, D> {
  readonly columns: C;
  readonly kinds: KindsOf<C, D>;
}

export interface Stream<N extends string = string, C = unknown, D = unknown> extends StreamDefinition {
  readonly name: N;
  readonly "~types"?: SourceTypes<C, D>;
}

export interface BatchSource<N extends string = string, C = unknown, D = unknown> extends BatchSourceDefinition {
  readonly name: N;
  readonly "~types"?: SourceTypes<C, D>;
}

/** An event as a stream's door takes it. */
export type EventOf<S> = S extends { readonly "~types"?: { readonly columns: infer C } } ? InputRow<C> : never;

const OPTIONS: readonly string[] = ["eventTime", "id", "derive", "require", "expect", "allowNonFinite", "sla"];
const STREAM_OPTIONS: readonly string[] = ["maxFuture", "dedupeWithin", "lateAfter", "availableAfter", "poll", "kafka"];
const BATCH_OPTIONS: readonly string[] = ["format", "location", "schedule", "watermark", "connection"];

export interface StreamOptions {
  /** How far ahead of the clock an event's time may lie. Default 1m. */
  readonly maxFuture?: DurationText;
  /** How long an id is remembered at least. Default 7d. */
  readonly dedupeWithin?: DurationText;
  /** An event known longer than this after it happened is counted and shown as late; no value depends on it. Default 1m. */
  readonly lateAfter?: DurationText;
  /** Imported history without a known-time column is known this long after its event time. Default 0. */
  readonly availableAfter?: DurationText;
  /** An API that is asked for rows every so often, as `http({...})` gives it; the source must have an `id` then. */
  readonly poll?: PollDefinition;
  /** The Kafka topic that workers read it from, records of JSON objects (docs/kafka.md). */
  readonly kafka?: string | KafkaTopicDefinition;
}

/** A source of single events, pushed as they happen, or fetched from an API. Throws `DEFINITION_INVALID`. */
export function stream<
  const N extends string,
  const C extends Columns,
  const D extends Expressions = {},
  const R extends Expressions = {},
  const X extends Expectations = [],
>(name: N, options: SourceOptions<C, D, R, X> & StreamOptions & CheckedOptions<C, D, R, X>): Stream<N, C, D> {
  checkShape(stream, "stream", name, options, { columns: "members" }, [...OPTIONS, ...STREAM_OPTIONS]);
  const problems: string[] = [];
  const lateAfterMicros = duration("lateAfter", options.lateAfter, problems);
  const definition: StreamDefinition = frozen({
    kind: "stream",
    ...commonParts(name, options, problems),
    maxFutureMicros: duration("maxFuture", options.maxFuture, problems) ?? MICROS_PER_MINUTE,
    dedupeWithinMicros: duration("dedupeWithin", options.dedupeWithin, problems) ?? 7 * MICROS_PER_DAY,
    availableAfterMicros: duration("availableAfter", options.availableAfter, problems) ?? 0,
    ...(lateAfterMicros === undefined ? {} : { lateAfterMicros }),
    ...(options.poll === undefined ? {} : { poll: pollOf(options) }),
    ...(options.kafka === undefined ? {} : { kafka: kafkaTopic(options.kafka, problems) }),
    definedAt: callSite(stream),
  });
  if (options.poll !== undefined && (options.poll as { kind?: unknown } | null)?.kind !== "http")
    refuse(definition, "stream", ["poll is not what http({...}) gives"]);
  refuse(definition, "stream", [...problems, ...sourceProblems(definition)]);
  return definition as Stream<N, C, D>;
}

/** What is none is refused by `stream`. */
function pollOf({ poll, columns }: { readonly poll?: PollDefinition; readonly columns: Columns }): PollDefinition {
  if ((poll as { kind?: unknown } | null)?.kind !== "http") return poll!;
  return storedPoll(poll!, storedNames(Object.entries(columns).map(([name, column]) => sourceColumn(name, column))));
}

const KAFKA_TOPIC = /^[A-Za-z0-9._-]{1,249}$/;

function kafkaTopic(given: string | KafkaTopicDefinition, problems: string[]): KafkaTopicDefinition {
  const { topic, direct, knownTime, ids, ...others } = typeof given === "string" ? { topic: given } : given;
  if (typeof topic !== "string" || !KAFKA_TOPIC.test(topic)) {
    problems.push(`kafka: ${JSON.stringify(topic)} is not a topic's name: up to 249 letters, digits, ".", "_" and "-"`);
  }
  const unknown = Object.keys(others);
  if (unknown.length > 0)
    problems.push(`kafka has no option "${unknown[0]}": it takes topic, direct, knownTime and ids`);
  if (knownTime !== undefined && knownTime !== "record") {
    problems.push(`kafka: knownTime is ${JSON.stringify(knownTime)}: it is "record", or left out`);
  }
  if (knownTime !== undefined && direct === true) {
    problems.push("kafka: a topic that is folded directly is known by its records' times anyhow: leave knownTime out");
  }
  if (ids !== undefined && ids !== "entity") {
    problems.push(`kafka: ids is ${JSON.stringify(ids)}: it is "entity", or left out`);
  }
  if (ids !== undefined && direct === true) {
    problems.push("kafka: in a topic that is folded directly ids count for each entity anyhow: leave ids out");
  }
  return frozen({
    topic,
    ...(direct === true ? { direct } : {}),
    ...(knownTime === undefined ? {} : { knownTime }),
    ...(ids === undefined ? {} : { ids }),
  });
}

export interface BatchOptions {
  readonly format: BatchFormat;
  /**
   * A path or glob of files, relative to where the command runs; a Delta table's folder; for `sql` a query of DuckDB, for
   * `postgres` one of that database.
   */
  readonly location: string;
  /** When it is read: a cron expression of five fields, UTC. Without one, only by `onefold run`. */
  readonly schedule?: string;
  /**
   * The column by which rows are new: only those beyond the largest value read so far are read. Without it, files and
   * Delta tables are read file by file, each once, and a query anew each time, which takes an `id`. `lookback`, for times, reads so
   * much again, which takes an `id`, too.
   */
  readonly watermark?: string | { readonly column: string; readonly lookback?: DurationText };
  /** Of `postgres`: the environment variable that holds its URL. */
  readonly connection?: { readonly env: string };
}

/** A source of rows read on a schedule. Throws `DEFINITION_INVALID`. */
export function batch<
  const N extends string,
  const C extends Columns,
  const D extends Expressions = {},
  const R extends Expressions = {},
  const X extends Expectations = [],
>(name: N, options: SourceOptions<C, D, R, X> & BatchOptions & CheckedOptions<C, D, R, X>): BatchSource<N, C, D> {
  checkShape(batch, "batch source", name, options, { columns: "members" }, [...OPTIONS, ...BATCH_OPTIONS]);
  const problems: string[] = [];
  const definition: BatchSourceDefinition = frozen({
    kind: "batch",
    ...commonParts(name, options, problems),
    format: options.format,
    location: options.location,
    schedule: options.schedule,
    ...(options.watermark === undefined ? {} : { watermark: watermark(options.watermark, options.columns, problems) }),
    ...(options.connection === undefined ? {} : { connectionEnv: options.connection.env }),
    definedAt: callSite(batch),
  });
  refuse(definition, "batch source", [...problems, ...sourceProblems(definition)]);
  return definition as BatchSource<N, C, D>;
}

function watermark(
  given: NonNullable<BatchOptions["watermark"]>,
  columns: Columns,
  problems: string[],
): WatermarkDefinition {
  const { column: label, lookback } = typeof given === "string" ? { column: given } : given;
  const column = columns[label] === undefined ? label : sourceColumn(label, columns[label]).name;
  const lookbackMicros = duration("watermark: lookback", lookback, problems);
  return frozen({ column, ...(lookbackMicros === undefined ? {} : { lookbackMicros }) });
}

type Parts = Omit<SourceDefinition, "kind" | "definedAt">;

function commonParts(
  name: string,
  options: SourceOptions<Columns, Expressions, Expressions, Expectations>,
  problems: string[],
): Parts {
  const columns = Object.entries(options.columns).map(([columnName, column]) => sourceColumn(columnName, column));
  const stored = storedNames(columns);
  const sla = sourceSla(options.sla, problems);
  const { expectations } = expectationsOf(options.expect, problems);
  return {
    name,
    columns,
    derived: derivedColumns(columns, options.derive ?? {}, problems),
    constraints: Object.entries(options.require ?? {}).map(([constraint, predicate]) => ({
      name: constraint,
      predicate: withStoredNames(predicate.expression, stored),
    })),
    ...(expectations === undefined ? {} : { expectations: expectations.map((one) => storedExpectation(one, stored)) }),
    eventTime: stored(options.eventTime),
    allowNonFinite: options.allowNonFinite ?? false,
    ...(options.id === undefined ? {} : { id: stored(options.id) }),
    ...(sla === undefined ? {} : { sla }),
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.tags === undefined ? {} : { tags: options.tags }),
  };
}

/** As the definition has them: no member where there are none. */
export function expectationsOf(
  given: Expectations | undefined,
  problems: string[],
): { expectations?: readonly ExpectationDefinition[] } {
  if (given === undefined || (Array.isArray(given) && given.length === 0)) return {};
  if (!Array.isArray(given) || !given.every((one) => one instanceof Expectation)) {
    problems.push("expect is not a list of what expectation(...) gives");
    return {};
  }
  return { expectations: given.map((one: AnyExpectation) => one.definition) };
}

/** Stored under its first name, whatever it is called now. */
function sourceColumn(label: string, { valueType, isNullable, description, past }: AnyColumnType): Column {
  const [first, ...between] = past.names;
  return frozen({
    name: first ?? label,
    type: valueType,
    nullable: isNullable,
    description,
    ...(first === undefined ? {} : { as: label }),
    ...(between.length === 0 ? {} : { was: between }),
    ...(past.from === undefined ? {} : { from: past.from }),
    ...(past.isDropped ? { dropped: true as const } : {}),
  }) as Column;
}

function derivedColumns(columns: readonly Column[], derive: Expressions, problems: string[]): DerivedColumn[] {
  const known: ExpressionColumn[] = columns.filter(({ dropped }) => dropped !== true);
  const stored = storedNames(columns);
  const derived: DerivedColumn[] = [];
  for (const [name, { expression: written }] of Object.entries(derive)) {
    const expression = withStoredNames(written, stored);
    try {
      const type = expressionType(expression, known);
      if (type === null) throw new ExpressionProblem("it is null in every row");
      derived.push({ name, type, expression });
      known.push({ name, type });
    } catch (error) {
      if (!(error instanceof ExpressionProblem)) throw error;
      problems.push(`derived column "${name}": ${error.message}`);
    }
  }
  return derived;
}
