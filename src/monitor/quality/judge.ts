/**
 * Expectations judged over a stretch of time, exactly, from what is archived: what came in, not what was refused.
 *
 * Nothing is kept for it: a restart changes nothing, an expectation that is new can be asked about last month, and asking
 * twice gives the same answer. A judgement reads the columns that its rule is of, from the files of its stretch.
 */
import type { ExpectationDefinition, ExpectationRule } from "../../define/expectation-definition.ts";
import { ruleText } from "../../define/expectation-problems.ts";
import { compileRule } from "../../fold/expectation-rule.ts";
import { sqlName } from "../../offline-store/engine.ts";
import type { Value } from "../../schema/value.ts";
import type { JudgedTable, Stretch } from "./judged-table.ts";

export interface Judgement extends Stretch {
  readonly name: string;
  readonly column: string | null;
  readonly severity: ExpectationDefinition["severity"];
  /** The rule in words. */
  readonly expected: string;
  readonly measure: "failing_ratio" | "null_ratio" | "duplicate_ratio" | "events";
  /** Values that were judged: those that are not null, of `nullRate` and `arrivalRate` rows. */
  readonly samples: number;
  /** Of these, how many do not meet it. */
  readonly failing: number;
  /** Null where there was nothing to judge. */
  readonly value: number | null;
  /** What `value` must not be beyond: above, but for an arrival rate that is below its least. */
  readonly threshold: number;
  readonly isMet: boolean;
  /** Some values that do not meet it, with how often they came. */
  readonly examples: readonly { readonly value: Value; readonly count: number }[];
}

/** Whether the stretch is one that counts events whole: the source was there from its begin on. */
export interface JudgeOptions {
  readonly sinceMicros: number;
}

const EXAMPLES_MAX = 5;
const KEPT_MAX = 1000;

type Counted = Pick<Judgement, "samples" | "failing" | "examples">;

export async function judge(
  table: JudgedTable,
  expectation: ExpectationDefinition,
  stretch: Stretch,
  options: JudgeOptions,
): Promise<Judgement> {
  const { name, column, rule, severity, tolerate = 0 } = expectation;
  const described = { name, column: column ?? null, severity, expected: ruleText(column, rule), ...stretch };
  if (rule.kind === "arrivalRate") return { ...described, ...(await judgeRate(table, rule, stretch, options)) };
  const counted = await count(table, expectation, stretch);
  const threshold = rule.kind === "nullRate" ? rule.max : tolerate;
  const value = counted.samples === 0 ? null : counted.failing / counted.samples;
  const measure =
    rule.kind === "nullRate" ? "null_ratio" : rule.kind === "unique" ? "duplicate_ratio" : "failing_ratio";
  return { ...described, ...counted, measure, value, threshold, isMet: value === null || value <= threshold };
}

function count(table: JudgedTable, expectation: ExpectationDefinition, stretch: Stretch): Promise<Counted> {
  switch (expectation.rule.kind) {
    case "unique":
      return countDuplicates(table, expectation.column!, stretch);
    case "monotone":
      return countSteps(table, expectation.column!, expectation.rule, stretch);
    default:
      return countFailing(table, expectation, stretch);
  }
}

/** Of rules of a single value: each distinct value is judged once. */
async function countFailing(
  table: JudgedTable,
  expectation: ExpectationDefinition,
  stretch: Stretch,
): Promise<Counted> {
  const { column, rule } = expectation;
  const ofNulls = rule.kind === "nullRate";
  if (table.isStored(column!) && (ofNulls || rule.kind === "range")) return countBySql(table, column!, rule, stretch);
  const index = table.columns.findIndex(({ name }) => name === column);
  const isMetBy = compileRule(expectation, table.columns, table.owner);
  const worst = new Worst();
  let samples = 0;
  let failing = 0;
  for await (const groups of table.groups(stretch, [column!])) {
    for (const [row, rows] of groups) {
      const value = row[index] ?? null;
      if (!ofNulls && value === null) continue;
      samples += rows;
      if (isMetBy(row)) continue;
      failing += rows;
      if (!ofNulls) worst.add(value, rows);
    }
  }
  return { samples, failing, examples: worst.most() };
}

/** The same where values are many and the engine's comparison is the door's. */
async function countBySql(
  table: JudgedTable,
  column: string,
  rule: ExpectationRule,
  stretch: Stretch,
): Promise<Counted> {
  const name = `s.${sqlName(column)}`;
  const shown = shownSql(table, column);
  const rows = table.rowsSql(stretch);
  if (rule.kind !== "range") {
    const [found] = await table.engine.rows(
      `SELECT count(*)::DOUBLE AS samples, count(*) FILTER (WHERE ${name} IS NULL)::DOUBLE AS failing ${rows}`,
    );
    return { samples: Number(found!["samples"]), failing: Number(found!["failing"]), examples: [] };
  }
  const { type } = table.columns.find((one) => one.name === column)!;
  const isWide = type.name === "int64" && type.wide === true;
  const value = type.name === "timestamp" ? `epoch_us(${name})` : name;
  const literal = (bound: number): string => (isWide ? `${BigInt(bound)}` : `'${bound}'::DOUBLE`);
  const beyond = [
    ...(rule.min === undefined ? [] : [`${value} < ${literal(rule.min)}`]),
    ...(rule.max === undefined ? [] : [`${value} > ${literal(rule.max)}`]),
    // The engine has NaN above all numbers.
    ...(type.name === "float64" ? [`isnan(${name})`] : []),
  ].join(" OR ");
  const [found] = await table.engine.rows(
    `SELECT count(${name})::DOUBLE AS samples, count(*) FILTER (WHERE ${beyond})::DOUBLE AS failing ${rows}`,
  );
  const counted = { samples: Number(found!["samples"]), failing: Number(found!["failing"]) };
  if (counted.failing === 0) return { ...counted, examples: [] };
  return { ...counted, examples: await examples(table, `SELECT ${shown} AS value ${rows} AND (${beyond})`) };
}

async function countDuplicates(table: JudgedTable, column: string, stretch: Stretch): Promise<Counted> {
  const name = `s.${sqlName(column)}`;
  const rows = table.rowsSql(stretch);
  const [found] = await table.engine.rows(
    `SELECT count(${name})::DOUBLE AS samples, count(DISTINCT ${name})::DOUBLE AS distincts ${rows}`,
  );
  const samples = Number(found!["samples"]);
  const failing = samples - Number(found!["distincts"]);
  if (failing === 0) return { samples, failing, examples: [] };
  const values = `SELECT ${shownSql(table, column)} AS value ${rows} AND ${name} IS NOT NULL`;
  return { samples, failing, examples: await examples(table, values, "HAVING count(*) > 1") };
}

/** Steps from one value to the next in the order of arrival; the first of all, or of each `per`, has none before it. */
async function countSteps(
  table: JudgedTable,
  column: string,
  { direction, per }: Extract<ExpectationRule, { kind: "monotone" }>,
  stretch: Stretch,
): Promise<Counted> {
  const name = `s.${sqlName(column)}`;
  const partition = per === undefined ? "" : `PARTITION BY s.${sqlName(per)}`;
  const steps = `SELECT ${name} AS value, lag(${name}) OVER (${partition} ORDER BY ${table.orderSql}) AS before
    ${table.rowsSql(stretch)} AND ${name} IS NOT NULL`;
  const wrong = direction === "increasing" ? "value < before" : "value > before";
  const [found] = await table.engine.rows(
    `SELECT count(*)::DOUBLE AS samples, count(*) FILTER (WHERE ${wrong})::DOUBLE AS failing FROM (${steps})`,
  );
  const counted = { samples: Number(found!["samples"]), failing: Number(found!["failing"]) };
  if (counted.failing === 0) return { ...counted, examples: [] };
  return { ...counted, examples: await examples(table, `SELECT value FROM (${steps}) WHERE ${wrong}`) };
}

/** A value as its examples have it: whole numbers past the safe range as text. */
function shownSql(table: JudgedTable, column: string): string {
  const { type } = table.columns.find((one) => one.name === column)!;
  return type.name === "int64" && type.wide === true ? `s.${sqlName(column)}::VARCHAR` : `s.${sqlName(column)}`;
}

async function examples(table: JudgedTable, values: string, having = ""): Promise<Judgement["examples"]> {
  const rows = await table.engine.rows(
    `SELECT value, count(*)::DOUBLE AS n FROM (${values}) GROUP BY value ${having} ORDER BY n DESC, value LIMIT ${EXAMPLES_MAX}`,
  );
  return rows.map(({ value, n }) => ({ value: value!, count: Number(n) }));
}

/** Stretches of the rate's own length, back from the end; the one that is worst is told. Those that began before the source did are not judged. */
async function judgeRate(
  table: JudgedTable,
  { min, max, perMicros }: Extract<ExpectationRule, { kind: "arrivalRate" }>,
  { startMicros, endMicros }: Stretch,
  { sinceMicros }: JudgeOptions,
): Promise<Omit<Judgement, "name" | "column" | "severity" | "expected">> {
  const from = Math.max(startMicros, sinceMicros);
  const whole = Math.max(0, Math.floor((endMicros - from) / perMicros));
  const first = endMicros - whole * perMicros;
  // Of those with events; there may be very many without.
  const stretches = { count: 0, least: Number.POSITIVE_INFINITY, most: 0, events: 0, failing: 0 };
  if (whole > 0) {
    const stretch = { startMicros: first, endMicros };
    const fails = [...(min === undefined ? [] : [`n < ${min}`]), ...(max === undefined ? [] : [`n > ${max}`])].join(
      " OR ",
    );
    // A stretch has its end and not its begin, as all of them.
    const [row] = await table.engine.rows(
      `SELECT count(*)::DOUBLE AS stretches, min(n)::DOUBLE AS least, max(n)::DOUBLE AS most, coalesce(sum(n), 0)::DOUBLE AS events,
         count(*) FILTER (WHERE ${fails})::DOUBLE AS failing
       FROM (SELECT floor((${table.timeSql} - ${first} - 1) / ${perMicros}) AS place, count(*) AS n ${table.rowsSql(stretch)} GROUP BY 1)`,
    );
    stretches.count = Number(row!["stretches"]);
    stretches.events = Number(row!["events"]);
    stretches.failing = Number(row!["failing"]);
    if (stretches.count > 0) {
      stretches.least = Number(row!["least"]);
      stretches.most = Number(row!["most"]);
    }
  }
  const empty = whole - stretches.count;
  const least = empty > 0 ? 0 : stretches.least;
  const most = stretches.most;
  const isLow = min !== undefined && least < min;
  const isHigh = max !== undefined && most > max;
  const value = whole === 0 ? null : isHigh && !isLow ? most : least;
  return {
    startMicros: first,
    endMicros,
    measure: "events",
    samples: stretches.events,
    failing: stretches.failing + (min !== undefined && min > 0 ? empty : 0),
    value,
    threshold: isHigh && !isLow ? max : (min ?? max!),
    isMet: value === null || (!isLow && !isHigh),
    examples: [],
  };
}

/** The values that came most often, of many; of very many, of those that came most often as they were read. */
class Worst {
  #counts = new Map<Value, { readonly value: Value; count: number }>();

  add(value: Value, rows: number): void {
    const key = value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
    const known = this.#counts.get(key);
    if (known !== undefined) known.count += rows;
    else this.#counts.set(key, { value, count: rows });
    if (this.#counts.size > KEPT_MAX) {
      this.#counts = new Map(
        this.#sorted()
          .slice(0, KEPT_MAX / 2)
          .map((one) => [one.value, one]),
      );
    }
  }

  most(): { value: Value; count: number }[] {
    return this.#sorted().slice(0, EXAMPLES_MAX);
  }

  #sorted(): { value: Value; count: number }[] {
    return [...this.#counts.values()].toSorted((a, b) => b.count - a.count);
  }
}
