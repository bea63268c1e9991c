/**
 * Feature vectors as Feast's HTTP server answers them: by column, one result for each name, the entities' key
 * columns first. Feast's client infers types from how a value is written, so it is written with care: a float64
 * always with a point or an exponent, an int64 with all its digits.
 */
import { formatMicros, type Micros, MICROS_PER_SECOND } from "../base/micros.ts";
import { Status, STATUS_NAMES, type StatusCode } from "../fold/view-fold.ts";
import type { Value, ValueType } from "../schema/value.ts";

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

/** One result of the answer, as it is filled row by row; all of it JSON text but the statuses. */
export class FeastColumn {
  readonly name: string;
  readonly #values: string[] = [];
  readonly #statuses: string[] = [];
  readonly #times: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  add(value: string, status: string, eventTime: Micros | null): void {
    this.#values.push(value);
    this.#statuses.push(status);
    this.#times.push(eventTime === null ? NEVER : formatMicros(eventTime));
  }

  text(): string {
    const statuses = JSON.stringify(this.#statuses);
    return `{"values":[${this.#values.join(",")}],"statuses":${statuses},"event_timestamps":${JSON.stringify(this.#times)}}`;
  }
}

export function feastAnswer(columns: readonly FeastColumn[]): string {
  const names = JSON.stringify(columns.map((column) => column.name));
  return `{"metadata":{"feature_names":${names}},"results":[${columns.map((column) => column.text()).join(",")}]}`;
}
