/**
 * Feature vectors as Feast's HTTP server answers them: by column, one result for each name, the entities' key
 * columns first. Feast's client infers types from how a value is written, so it is written with care: a float64
 * always with a point or an exponent, an int64 with all its digits.
 *
 * Most of an answer is statuses and times, which columns of one view have in common: they are written once and given
 * to all of them.
 */
import { formatMicros, type Micros, MICROS_PER_SECOND } from "../base/micros.ts";
import { Status, STATUS_NAMES, type StatusCode } from "../fold/view-fold.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { AnswerBytes } from "./answer-bytes.ts";

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
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
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

/** One result of the answer, as it is filled row by row; its times, which others may share, are filled beside it. */
export class FeastColumn {
  readonly name: string;
  readonly times: FeastTimes;
  readonly #values: string[] = [];
  readonly #statuses: StatusCode[] = [];

  constructor(name: string, times: FeastTimes = new FeastTimes()) {
    this.name = name;
    this.times = times;
  }

  /** `value` is JSON text. */
  add(value: string, status: StatusCode): void {
    this.#values.push(value);
    this.#statuses.push(status);
  }

  /** `last` is of the column before it. */
  writeTo(out: AnswerBytes, last: StatusesText): void {
    out.text('{"values":[');
    out.text(this.#values.join(","));
    out.text('],"statuses":');
    out.text(last.of(this.#statuses));
    out.text(',"event_timestamps":');
    out.text(this.times.text());
    out.text("}");
  }
}

/** The text of statuses, written anew only where they are others than those before. */
class StatusesText {
  #statuses: readonly StatusCode[] = [];
  #text = "[]";

  of(statuses: readonly StatusCode[]): string {
    const last = this.#statuses;
    let isSame = last.length === statuses.length;
    for (let i = 0; isSame && i < statuses.length; i++) isSame = last[i] === statuses[i];
    if (!isSame) {
      this.#statuses = statuses;
      this.#text = listOf(statuses.map(feastStatus));
    }
    return this.#text;
  }
}

/** Of texts without anything that JSON escapes. */
function listOf(texts: readonly string[]): string {
  return texts.length === 0 ? "[]" : `["${texts.join('","')}"]`;
}

export function feastAnswer(columns: readonly FeastColumn[]): AnswerBytes {
  const out = new AnswerBytes();
  out.text(`{"metadata":{"feature_names":${JSON.stringify(columns.map((column) => column.name))}},"results":[`);
  const statuses = new StatusesText();
  for (const [i, column] of columns.entries()) {
    if (i > 0) out.text(",");
    column.writeTo(out, statuses);
  }
  out.text("]}");
  return out;
}
