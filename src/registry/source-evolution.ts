/**
 * How the columns of a registered source may change. Old events and new ones stand in one log, and whoever replays it must
 * come to the same states: so a change is one by which every stored value still is a value, and no view that is registered
 * computes or keeps anything else of it.
 *
 * | change                     | of old events                    | what is sent the old way       | refused where                     |
 * |----------------------------|----------------------------------|--------------------------------|-----------------------------------|
 * | a nullable column is added | have null                        | is without it                  | it is not nullable, or not behind |
 * | becomes nullable           | have their values                | has a value                    | it is a time, or a watermark      |
 * | int64 becomes float64      | have the very numbers            | is a whole number              | what reads it would be another    |
 * | int64 becomes wide int64   | have the decimal text            | is a safe number               | anything reads it                 |
 * | renamed, `.was("old")`     | stand under the name of storage  | has a former name              | a former name is not kept         |
 * | dropped, `.dropped()`      | keep what they have, unread      | has it, and it is not looked at | anything reads it                 |
 */
import { type Definition, formatViewName, type SourceDefinition, type ViewDefinition } from "../define/definition.ts";
import type { Expression } from "../define/expression.ts";
import { viewProblems } from "../define/view-problems.ts";
import { type Column, formatType, labelOf, namesOf, sameType, type ValueType, widens } from "../schema/value.ts";

/** Why the columns of `after` may not take the place of those of `before`, and what to do; null when they may. */
export function columnsRefusal(
  before: SourceDefinition,
  after: SourceDefinition,
  others: readonly Definition[],
): string | null {
  for (const [i, column] of before.columns.entries()) {
    const why = columnRefusal(column, after.columns[i], before, after, others);
    if (why !== null) return why;
  }
  const required = after.columns.slice(before.columns.length).find(({ nullable }) => !nullable);
  if (required === undefined) return readersRefusal(before, after, others);
  return `column "${labelOf(required)}" is added and not nullable, and rows are stored without it: declare it nullable`;
}

function columnRefusal(
  column: Column,
  next: Column | undefined,
  before: SourceDefinition,
  after: SourceDefinition,
  others: readonly Definition[],
): string | null {
  const label = labelOf(column);
  if (next?.name !== column.name) return missing(column, next, after);
  const forgotten = namesOf(column).filter((name) => !namesOf(next).includes(name));
  if (forgotten.length > 0) {
    return `column "${label}" would no longer be taken under ${forgotten.map((name) => `"${name}"`).join(", ")}, which are sent: keep all former names, the first one first, as in ${formerly(column, labelOf(next))}`;
  }
  if (column.dropped === true && next.dropped !== true && !next.nullable) {
    return `column "${label}" was dropped, and rows are stored without it: declare it nullable`;
  }
  if (column.nullable && !next.nullable) {
    return `column "${label}" may be null in stored rows: it stays nullable; to refuse nulls from now on, require: { there: col("${label}").isNull().not() }`;
  }
  const first = column.from ?? column.type;
  if (sameType(column.type, next.type)) {
    if (sameType(first, next.from ?? next.type)) return null;
    return `column "${label}" was first registered as ${formatType(first)}, and says otherwise: ${widening(next.type, first)}`;
  }
  const change = `column "${label}" would become ${formatType(next.type)} from ${formatType(column.type)}`;
  const instead = `add a nullable column of the new type behind the others, and let the next versions of views read that`;
  if (!widens(column.type, next.type)) return `${change}, which cannot hold every stored value: ${instead}`;
  if (next.from === undefined || !sameType(next.from, first)) return `${change}: ${widening(next.type, first)}`;
  if (isTextual(next.type)) {
    const readers = readersOf(column, before, others);
    return readers.length === 0 ? null : `${change}, a text where ${readers.join(", ")} keep numbers: ${instead}`;
  }
  if (before.kind === "stream" && before.kafka !== undefined) {
    return `${change}, and the workers of a Kafka source write its tables while they are restarted one by one: ${instead}`;
  }
  const counting = arithmeticOn(column, before, others);
  return counting.length === 0
    ? null
    : `${change}, and ${counting.join(", ")} compute with it as a whole number: ${instead}`;
}

function missing(column: Column, next: Column | undefined, after: SourceDefinition): string {
  const label = labelOf(column);
  if (after.columns.some(({ name }) => name === column.name)) {
    return `column "${label}" stands at another place: columns keep their order, and new ones stand behind them`;
  }
  const renamed =
    next === undefined
      ? ""
      : `; if "${labelOf(next)}" is it under another name, write ${formerly(column, labelOf(next))} behind that`;
  return `column "${label}" is stored, and is gone: where nobody reads it any more write .dropped() behind it${renamed}`;
}

/** What is to stand behind a column that is called `label` from now on. The first name is what it is stored as. */
function formerly({ name, as = name, was = [] }: Column, label: string): string {
  const others = [...new Set([...was, as])].filter((one) => one !== name && one !== label);
  return `.was(${[name, ...others].map((one) => JSON.stringify(one)).join(", ")})`;
}

function widening(type: ValueType, first: ValueType): string {
  if (sameType(type, first)) return `write ${written(first)}`;
  return `write ${written(type)}.widenedFrom(${written(first)})`;
}

/** As the definitions file has it. */
function written(type: ValueType): string {
  if (type.name === "array") return `t.array(${written(type.element)})`;
  return type.name === "int64" && type.wide === true ? "t.int64({ wide: true })" : `t.${type.name}()`;
}

/** A wide int64 is kept as text. */
function isTextual(type: Column["type"]): boolean {
  return type.name === "array" ? isTextual(type.element) : type.name === "int64" && type.wide === true;
}

/** Registered views that would not be what they are over the columns of `after`, their types among them. */
function readersRefusal(
  before: SourceDefinition,
  after: SourceDefinition,
  others: readonly Definition[],
): string | null {
  const isOther = (column: Column, i: number): boolean =>
    !sameType(column.type, after.columns[i]!.type) || (after.columns[i]!.dropped === true && column.dropped !== true);
  if (!before.columns.some(isOther)) return null;
  for (const view of viewsOn(before, others)) {
    const entity = others.find((one) => one.kind === "entity" && one.name === view.entity);
    if (entity?.kind !== "entity") continue;
    const [problem] = viewProblems(view, after, entity);
    if (problem !== undefined) return `view ${formatViewName(view)} reads it: ${problem}`;
    const dropped = before.columns.find((column, i) => isOther(column, i) && after.columns[i]!.dropped === true);
    const whole = view.features.find(
      ({ aggregation }) => aggregation.fn === "custom" && aggregation.column === undefined,
    );
    if (dropped === undefined || whole === undefined) continue;
    return `view ${formatViewName(view)} has an aggregation of whole rows, "${whole.name}", which may read "${labelOf(dropped)}"`;
  }
  return null;
}

function viewsOn(source: SourceDefinition, others: readonly Definition[]): ViewDefinition[] {
  return others.filter((one): one is ViewDefinition => one.kind === "view" && one.source === source.name);
}

/** What names a column, or may: views, derived columns, constraints and expectations. */
function readersOf(column: Column, source: SourceDefinition, others: readonly Definition[]): string[] {
  return [
    ...source.derived
      .filter(({ expression }) => names(expression, column))
      .map(({ name }) => `derived column "${name}"`),
    ...source.constraints.filter(({ predicate }) => names(predicate, column)).map(({ name }) => `constraint "${name}"`),
    ...(source.expectations ?? [])
      .filter((one) => one.column === column.name || (one.rule.kind === "monotone" && one.rule.per === column.name))
      .map(({ name }) => `expectation "${name}"`),
    ...viewsOn(source, others)
      .filter(
        ({ key, features }) =>
          key.includes(column.name) ||
          features.some(
            ({ aggregation: { fn, column: read, where } }) =>
              read === column.name ||
              (fn === "custom" && read === undefined) ||
              (where !== undefined && names(where, column)),
          ),
      )
      .map((view) => `view ${formatViewName(view)}`),
  ];
}

/** What computes with a column: whole numbers overflow where others do not. */
function arithmeticOn(column: Column, source: SourceDefinition, others: readonly Definition[]): string[] {
  return [
    ...source.derived
      .filter(({ expression }) => computesWith(expression, column))
      .map(({ name }) => `derived column "${name}"`),
    ...source.constraints
      .filter(({ predicate }) => computesWith(predicate, column))
      .map(({ name }) => `constraint "${name}"`),
    ...viewsOn(source, others).flatMap((view) =>
      view.features
        .filter(({ aggregation: { where } }) => where !== undefined && computesWith(where, column))
        .map(({ name }) => `feature ${formatViewName(view)}.${name}`),
    ),
  ];
}

const ARITHMETIC: ReadonlySet<Expression["op"]> = new Set(["add", "subtract", "multiply", "divide", "abs", "negate"]);

function computesWith(expression: Expression, column: Column): boolean {
  if (ARITHMETIC.has(expression.op)) return names(expression, column);
  return operandsOf(expression).some((operand) => computesWith(operand, column));
}

function names(expression: Expression, column: Column): boolean {
  if (expression.op === "column") return expression.name === column.name;
  return operandsOf(expression).some((operand) => names(operand, column));
}

function operandsOf(expression: Expression): readonly Expression[] {
  switch (expression.op) {
    case "column":
    case "literal":
      return [];
    case "coalesce":
      return expression.inputs;
    case "when":
      return [expression.condition, expression.then, expression.otherwise];
    default:
      return "left" in expression ? [expression.left, expression.right] : [expression.input];
  }
}
