/**
 * Request data at the door: what a caller sends beside the keys, checked against the columns that the
 * on-demand views of a service declare.
 */
import { nearestNames } from "../base/nearest-names.ts";
import { OnefoldError } from "../base/errors.ts";
import { checkValue } from "../schema/check-value.ts";
import { type Column, formatType, type Row, type Value } from "../schema/value.ts";

/** Of the many services that take none. */
const NOTHING: Row = Object.freeze([]);

/**
 * Values in the order of the columns. Throws `REQUEST_INVALID` for what is no object or has a name that no
 * column has, `NULL_NOT_ALLOWED`, and what `checkValue` throws.
 */
export function requestRow(columns: readonly Column[], given: unknown): Row {
  if (given === undefined && columns.length === 0) return NOTHING;
  if (given === undefined || given === null) given = {};
  if (typeof given !== "object" || Array.isArray(given)) {
    throw new OnefoldError("REQUEST_INVALID", "request is not an object", { where: "request", hint: wanted(columns) });
  }
  const members = given as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(members)) {
    if (columns.some((column) => column.name === name)) continue;
    throw new OnefoldError("REQUEST_INVALID", `the service takes no request data "${name}"`, {
      where: `request.${name}`,
      hint: wanted(columns),
      candidates: nearestNames(
        name,
        columns.map((column) => column.name),
      ),
    });
  }
  return columns.map((column): Value => {
    const where = `request.${column.name}`;
    const value = checkValue(Object.hasOwn(members, column.name) ? members[column.name] : null, column.type, {
      allowNonFinite: false,
      where,
      finiteHint: `request data is finite: send a number${column.nullable ? ", or null" : ", as it may not be null"}`,
    });
    if (value !== null || column.nullable) return value;
    throw new OnefoldError("NULL_NOT_ALLOWED", `${where} is null or missing`, { where, hint: wanted(columns) });
  });
}

function wanted(columns: readonly Column[]): string {
  if (columns.length === 0) return "the service takes no request data: leave request out";
  const names = columns.map(
    ({ name, type, nullable }) => `${name} (${formatType(type)}${nullable ? ", nullable" : ""})`,
  );
  return `the service takes ${names.join(", ")}`;
}
