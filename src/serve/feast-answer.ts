/**
 * The parts of an answer of Feast's HTTP server: by column, one result for each name. Feast's client infers types from how
 * a value is written, so it is written with care: a float64 always with a point or an exponent, an int64 with all its
 * digits.
 */
import { formatMicros, type Micros, MICROS_PER_SECOND } from "../base/micros.ts";
import { Status, STATUS_NAMES, type StatusCode } from "../fold/view-fold.ts";
import type { Column, Value, ValueType } from "../schema/value.ts";

/** What Feast calls a status; it has none for an error. */
export function feastStatus(status: StatusCode): string {
  return status === Status.ERROR ? "INVALID" : STATUS_NAMES[status]!;
}

/** A value as JSON text: timestamps as whole seconds, bytes as base64. */
export function feastValue(value: Value, type: ValueType): string {
  if (value === null) return "null";
  switch (type.name) {
    case "float64":
      return floatText(value as number);
    case "int64":
      return String(value);
    case "timestamp":
      return String(Math.floor((value as number) / MICROS_PER_SECOND));
    case "bytes":
      return JSON.stringify(Buffer.from(value as Uint8Array).toString("base64"));
    case "bool":
      return String(value);
    case "string":
      return JSON.stringify(value);
    case "array":
      return `[${(value as readonly Value[]).map((element) => feastValue(element, type.element)).join(",")}]`;
  }
}

function floatText(value: number): string {
  // As Feast's own server does: JSON has no number for it.
  if (!Number.isFinite(value)) return `"${value}"`;
  const text = String(value);
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}

const NEVER = "1970-01-01T00:00:00Z";

/** The event times of one or more columns, as they are filled row by row. */
export class FeastTimes {
  readonly #times: string[] = [];
  #text: string | null = null;

  add(eventTime: Micros | null): void {
    this.#times.push(eventTime === null ? NEVER : formatMicros(eventTime));
  }

  /** Once all rows are there. */
  text(): string {
    return (this.#text ??= listOf(this.#times));
  }
}

/** One result of the answer, as it is filled row by row. */
export class FeastColumn {
  readonly name: string;
  readonly times: FeastTimes = new FeastTimes();
  readonly #values: string[] = [];
  readonly #statuses: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** `value` is JSON text. */
  add(value: string, status: StatusCode): void {
    this.#values.push(value);
    this.#statuses.push(feastStatus(status));
  }

  text(): string {
    return `{"values":[${this.#values.join(",")}],"statuses":${listOf(this.#statuses)},"event_timestamps":${this.times.text()}}`;
  }
}

/** Of texts without anything that JSON escapes. */
export function listOf(texts: readonly string[]): string {
  return texts.length === 0 ? "[]" : `["${texts.join('","')}"]`;
}

/** The result for a key column, whose values were checked: it is answered as it was sent, int64 as numbers with all their digits. */
export function keyResult({ type }: Pick<Column, "type">, values: readonly unknown[]): string {
  const shown = type.name === "int64" ? `[${values.map(int64Text).join(",")}]` : JSON.stringify(values);
  return `{"values":${shown},"statuses":${sameOf("PRESENT", values.length)},"event_timestamps":${sameOf(NEVER, values.length)}}`;
}

/** A key in its array or object, which is as good, stays in it. */
function int64Text(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function sameOf(text: string, count: number): string {
  return count === 0 ? "[]" : `["${text}"${`,"${text}"`.repeat(count - 1)}]`;
}
