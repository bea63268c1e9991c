/**
 * One column of an imported file, as SQL: its typed value where that is surely what the door would make of
 * the cell, and its raw text for the door to judge everywhere else.
 *
 * `clean` may only err to the safe side: a cell it does not vouch for is merely slower.
 */
import { formatType, type Column, type ValueType } from "../schema/value.ts";
import { sqlType } from "../offline-store/engine.ts";
import { jsonOfText } from "./row-file.ts";

export type FileFormat = "parquet" | "csv" | "json";

export interface ImportColumn {
  /** Typed value where `clean` holds. */
  readonly value: string;
  /** True or false, never null. */
  readonly clean: string;
  /** The cell as text; null for null. */
  readonly raw: string;
  /** What the door is given for that text. */
  readonly decode: (raw: string) => unknown;
}

/** A cell of the platform's type as the file has it: `cell` is its SQL, `fileType` its SQL type in the file. */
export function importColumn(
  column: Column,
  cell: string,
  fileType: string,
  format: FileFormat,
  allowNonFinite: boolean,
): ImportColumn {
  const { type } = column;
  const compiled =
    format === "parquet"
      ? typedColumn(type, cell, fileType, allowNonFinite)
      : format === "csv"
        ? csvColumn(type, cell)
        : jsonColumn(type, cell);
  const clean = `coalesce(${cell} IS NULL OR (${compiled.clean}), false)`;
  return { ...compiled, clean: column.nullable ? clean : `(${cell} IS NOT NULL AND ${clean})` };
}

/** A nullable column that the file does not have. */
export function absentColumn(type: ValueType): ImportColumn {
  return { value: `NULL::${sqlType(type)}`, clean: "true", raw: "NULL::VARCHAR", decode: (raw) => raw };
}

const SAFE = Number.MAX_SAFE_INTEGER;
const ISO_TIME = "\\d{4}-\\d{2}-\\d{2}([T ]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?Z?)?";
const DECIMAL_FRACTION = "[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?";

function timeIsClean(value: string): string {
  return `isfinite(${value}) AND epoch_us(${value}) BETWEEN ${-SAFE} AND ${SAFE}`;
}

function textTime(text: string): { value: string; clean: string } {
  const value = `TRY_CAST(${text} AS TIMESTAMPTZ)`;
  return { value, clean: `regexp_full_match(${text}, '${ISO_TIME}') AND ${timeIsClean(value)}` };
}

/** -0 becomes 0 and NaN one bit pattern. */
function normalised(value: string): string {
  return `(CASE WHEN ${value} = 0 THEN 0 WHEN isnan(${value}) THEN 'NaN'::DOUBLE ELSE ${value} END)`;
}

/** Values whose text alone does not say what they are: left to the door. */
function unvouched(type: ValueType): { value: string; clean: string } {
  return { value: `NULL::${sqlType(type)}`, clean: "false" };
}

function csvColumn(type: ValueType, cell: string): ImportColumn {
  const declared = formatType(type);
  const decode = (raw: string): unknown => jsonOfText(raw, declared);
  return { ...csvValue(type, cell), raw: cell, decode };
}

function csvValue(type: ValueType, cell: string): { value: string; clean: string } {
  switch (type.name) {
    case "int64":
      return { value: `TRY_CAST(${cell} AS BIGINT)`, clean: `regexp_full_match(${cell}, '-?(0|[1-9]\\d{0,14})')` };
    case "float64": {
      const value = `TRY_CAST(${cell} AS DOUBLE)`;
      const clean = `strlen(${cell}) <= 32 AND regexp_full_match(${cell}, '${DECIMAL_FRACTION}') AND isfinite(${value})`;
      return { value: normalised(value), clean };
    }
    case "bool":
      return { value: `(${cell} = 'true')`, clean: `${cell} IN ('true', 'false')` };
    case "string":
      return { value: cell, clean: "true" };
    case "timestamp":
      return textTime(cell);
    default:
      return unvouched(type);
  }
}

/** JSON keeps kinds apart, and so does the door: a number is no text and a text no number. */
function jsonColumn(type: ValueType, cell: string): ImportColumn {
  return { ...jsonValue(type, cell), raw: `${cell}::VARCHAR`, decode: (raw) => JSON.parse(raw) as unknown };
}

function jsonValue(type: ValueType, cell: string): { value: string; clean: string } {
  const kind = `json_type(${cell})`;
  const text = `(${cell} ->> '$')`;
  switch (type.name) {
    case "int64":
      return {
        value: `TRY_CAST(${text} AS BIGINT)`,
        clean: `${kind} IN ('BIGINT', 'UBIGINT') AND regexp_full_match(${text}, '-?\\d{1,15}')`,
      };
    case "float64": {
      const value = `TRY_CAST(${text} AS DOUBLE)`;
      return { value: normalised(value), clean: `${kind} IN ('BIGINT', 'UBIGINT', 'DOUBLE') AND isfinite(${value})` };
    }
    case "bool":
      return { value: `(${text} = 'true')`, clean: `${kind} = 'BOOLEAN'` };
    case "string":
      // Escapes may stand for what text in the engine cannot hold.
      return { value: text, clean: `${kind} = 'VARCHAR' AND NOT contains(${cell}::VARCHAR, '\\u')` };
    case "timestamp": {
      const { value, clean } = textTime(text);
      return { value, clean: `${kind} = 'VARCHAR' AND ${clean}` };
    }
    default:
      return unvouched(type);
  }
}

const INTEGER = /^U?(?:TINYINT|SMALLINT|INTEGER|BIGINT)$/;
const FLOAT = /^(?:FLOAT|DOUBLE)$/;
const TIME = /^(?:TIMESTAMP WITH TIME ZONE|TIMESTAMP|TIMESTAMP_S|TIMESTAMP_MS|TIMESTAMP_NS|DATE)$/;

function typedColumn(type: ValueType, cell: string, fileType: string, allowNonFinite: boolean): ImportColumn {
  return { ...typedValue(type, cell, fileType, allowNonFinite), ...typedRaw(type, cell, fileType) };
}

function typedRaw(type: ValueType, cell: string, fileType: string): Pick<ImportColumn, "raw" | "decode"> {
  if (fileType === "BLOB") return { raw: `base64(${cell})`, decode: (raw) => raw };
  if (fileType === "BLOB[]")
    return { raw: `to_json(list_transform(${cell}, x -> base64(x)))::VARCHAR`, decode: parsed };
  if (fileType.endsWith("]") || fileType.startsWith("STRUCT") || fileType.startsWith("MAP")) {
    return { raw: `to_json(${cell})::VARCHAR`, decode: parsed };
  }
  const raw = `${cell}::VARCHAR`;
  if (INTEGER.test(fileType)) {
    return { raw, decode: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)) };
  }
  if (FLOAT.test(fileType)) return { raw, decode: floatOfText };
  if (fileType.startsWith("DECIMAL") && type.name === "float64") return { raw, decode: Number };
  if (fileType === "BOOLEAN") return { raw, decode: (text) => text === "true" };
  return { raw, decode: (text) => text };
}

function parsed(raw: string): unknown {
  try {
    return JSON.parse(raw) as unknown;
  } catch {
    return raw;
  }
}

function floatOfText(text: string): number {
  if (text === "inf") return Number.POSITIVE_INFINITY;
  return text === "-inf" ? Number.NEGATIVE_INFINITY : Number(text);
}

function typedValue(
  type: ValueType,
  cell: string,
  fileType: string,
  allowNonFinite: boolean,
): { value: string; clean: string } {
  const isInteger = INTEGER.test(fileType);
  const isFloat = FLOAT.test(fileType);
  switch (type.name) {
    case "int64": {
      const value = `TRY_CAST(${cell} AS BIGINT)`;
      if (isInteger)
        return { value, clean: type.wide === true ? `${value} IS NOT NULL` : `${cell} BETWEEN ${-SAFE} AND ${SAFE}` };
      if (isFloat)
        return { value, clean: `isfinite(${cell}) AND ${cell} = trunc(${cell}) AND abs(${cell}) <= ${SAFE}` };
      return unvouched(type);
    }
    case "float64":
      if (isInteger) return { value: `${cell}::DOUBLE`, clean: `${cell} BETWEEN ${-SAFE} AND ${SAFE}` };
      if (isFloat)
        return { value: normalised(`${cell}::DOUBLE`), clean: allowNonFinite ? "true" : `isfinite(${cell})` };
      return unvouched(type);
    case "string":
      return fileType === "VARCHAR" || fileType.startsWith("ENUM") || fileType === "UUID"
        ? { value: `${cell}::VARCHAR`, clean: "true" }
        : unvouched(type);
    case "bool":
      return fileType === "BOOLEAN" ? { value: cell, clean: "true" } : unvouched(type);
    case "timestamp": {
      if (!TIME.test(fileType)) return unvouched(type);
      const value = `TRY_CAST(${cell} AS TIMESTAMPTZ)`;
      const whole = fileType === "TIMESTAMP_NS" ? ` AND epoch_ns(${cell}) % 1000 = 0` : "";
      return { value, clean: `${timeIsClean(value)}${whole}` };
    }
    case "bytes":
      return fileType === "BLOB" ? { value: cell, clean: "true" } : unvouched(type);
    case "array":
      return arrayValue(type.element, cell, fileType, allowNonFinite);
  }
}

function arrayValue(
  element: ValueType,
  cell: string,
  fileType: string,
  allowNonFinite: boolean,
): { value: string; clean: string } {
  const type: ValueType = { name: "array", element };
  if (fileType !== sqlType(type)) return unvouched(type);
  const none = (bad: string): string => `len(list_filter(${cell}, x -> x IS NOT NULL AND ${bad})) = 0`;
  switch (element.name) {
    case "string":
    case "bool":
    case "bytes":
      return { value: cell, clean: "true" };
    case "int64":
      return { value: cell, clean: element.wide === true ? "true" : none(`x NOT BETWEEN ${-SAFE} AND ${SAFE}`) };
    case "float64":
      return {
        value: `list_transform(${cell}, x -> ${normalised("x")})`,
        clean: allowNonFinite ? "true" : none("NOT isfinite(x)"),
      };
    default:
      return unvouched(type);
  }
}
