/**
 * JSON schemas (draft 2020-12) of what comes in and goes out: a source's rows as its door takes them, and
 * values as answers carry them.
 *
 * A schema accepts what `checkValue` accepts, but for what JSON schema cannot say: that a calendar day
 * exists, that 64 bits are enough, that text is well-formed Unicode.
 */
import { type Column, labelOf, type ValueType } from "./value.ts";

export type JsonSchema = { readonly [keyword: string]: unknown };

const DIALECT = "https://json-schema.org/draft/2020-12/schema";
const SAFE = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };
const DECIMAL: JsonSchema = { type: "string", pattern: "^-?(0|[1-9][0-9]*)$" };
const ISO_TIME: JsonSchema = {
  type: "string",
  pattern:
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6})?)?\\s*(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$",
};
const BASE64: JsonSchema = { type: "string", contentEncoding: "base64" };
/** Only where non-finite numbers are allowed, or may be served. */
const NOT_FINITE: JsonSchema = { enum: ["NaN", "Infinity", "-Infinity"] };

/** One row of a source as its door takes it: every column that is not nullable is required, no other is known. */
export function rowJsonSchema(
  columns: readonly Column[],
  options: { readonly allowNonFinite?: boolean } = {},
): JsonSchema {
  return {
    $schema: DIALECT,
    type: "object",
    properties: Object.fromEntries(
      columns.map((column) => {
        const input = inputSchema(column.type, options.allowNonFinite === true);
        const schema = column.nullable ? nullable(input) : input;
        return [
          labelOf(column),
          column.description === undefined ? schema : { description: column.description, ...schema },
        ];
      }),
    ),
    required: columns.filter((column) => !column.nullable).map(labelOf),
    additionalProperties: false,
  };
}

/** A feature vector as answers carry it: every feature is there, null where it has no value. */
export function vectorJsonSchema(
  features: readonly { readonly name: string; readonly type: ValueType; readonly description?: string }[],
): JsonSchema {
  return {
    $schema: DIALECT,
    type: "object",
    properties: Object.fromEntries(
      features.map(({ name, type, description }) => [
        name,
        { ...(description === undefined ? {} : { description }), ...nullable(outputSchema(type)) },
      ]),
    ),
    required: features.map((feature) => feature.name),
    additionalProperties: false,
  };
}

function inputSchema(type: ValueType, allowNonFinite: boolean): JsonSchema {
  switch (type.name) {
    case "int64":
      return { anyOf: [{ type: "integer", ...SAFE }, DECIMAL] };
    case "float64":
      return allowNonFinite ? { anyOf: [{ type: "number" }, NOT_FINITE] } : { type: "number" };
    case "timestamp":
      return {
        anyOf: [
          ISO_TIME,
          {
            type: "object",
            properties: { micros: { type: "integer", ...SAFE } },
            required: ["micros"],
            not: { required: ["millis"] },
          },
          {
            type: "object",
            properties: { millis: { type: "number" } },
            required: ["millis"],
            not: { required: ["micros"] },
          },
        ],
      };
    case "array":
      return { type: "array", items: nullable(inputSchema(type.element, allowNonFinite)) };
    default:
      return scalarSchema(type);
  }
}

function outputSchema(type: ValueType): JsonSchema {
  switch (type.name) {
    case "int64":
      return type.wide === true ? DECIMAL : { type: "integer", ...SAFE };
    case "float64":
      return { anyOf: [{ type: "number" }, NOT_FINITE] };
    case "timestamp":
      return { type: "string", format: "date-time" };
    case "array":
      return { type: "array", items: nullable(outputSchema(type.element)) };
    default:
      return scalarSchema(type);
  }
}

function scalarSchema(type: ValueType): JsonSchema {
  if (type.name === "bytes") return BASE64;
  return { type: type.name === "bool" ? "boolean" : "string" };
}

function nullable(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: "null" }] };
}
