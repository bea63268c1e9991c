/**
 * Rows out of an answer: where they are, which columns they have, and where the next page is.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { StreamDefinition } from "../../define/definition.ts";
import type { PollColumn, PollDefinition, PollPath, PollTimeUnit } from "../../define/poll-definition.ts";
import { addressGiven, placeOf } from "./poll-request.ts";
import { namesOf } from "../../schema/value.ts";
import type { PollAnswer } from "./poll-answer.ts";

/** What stands at a path of own members; undefined where it leads nowhere. */
export function at(data: unknown, path: PollPath): unknown {
  let value = data;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/** The rows as the API gave them. None where there is no content, or null; throws `POLL_ANSWER_INVALID` where nothing is at the path. */
export function rowsIn({ data, address }: PollAnswer, poll: PollDefinition): readonly unknown[] {
  if (data === undefined) return [];
  const found = at(data, poll.rows);
  if (Array.isArray(found)) return found;
  if (found === null) return [];
  if (typeof found === "object") return [found];
  const place = poll.rows.length === 0 ? "the answer" : `"${poll.rows.join(".")}" in the answer`;
  throw new OnefoldError(
    "POLL_ANSWER_INVALID",
    found === undefined ? `there is nothing at ${place}` : `${place} is a ${typeof found}, not rows`,
    { where: placeOf(address), hint: "say with rows where the array of rows is in the answer" },
  );
}

/** A row as the door takes it: the declared columns alone. What is no object is left for the door to refuse. */
export function rowPicker(source: StreamDefinition, poll: PollDefinition): (row: unknown) => unknown {
  const columns = source.columns.map((stored) => {
    const column = poll.columns.find((one) => one.name === stored.name);
    // Without a path of its own it is looked for under each of its names: the API may not know of the newest yet.
    const places: readonly PollColumn[] =
      column === undefined ? namesOf(stored).map((name) => ({ name, path: [name] })) : [column];
    return { name: stored.name, places, isFloat: stored.type.name === "float64" };
  });
  return (row) => {
    if (typeof row !== "object" || row === null || Array.isArray(row)) return row;
    const picked: [string, unknown][] = [];
    for (const { name, places, isFloat } of columns) {
      let value: unknown;
      for (let i = 0; i < places.length && value === undefined; i++) value = valueAt(row, places[i]!);
      // Whole numbers that came as text for the sake of wide columns.
      if (value !== undefined) picked.push([name, isFloat && isLongWhole(value) ? Number(value) : value]);
    }
    return Object.fromEntries(picked);
  };
}

function valueAt(row: object, column: PollColumn): unknown {
  return "parts" in column ? joined(row, column.parts) : timed(at(row, column.path), column.unit);
}

function joined(row: object, parts: readonly PollPath[]): string | undefined {
  const values = parts.map((part) => at(row, part));
  return values.some((value) => value === undefined || value === null) ? undefined : JSON.stringify(values);
}

function isLongWhole(value: unknown): boolean {
  return typeof value === "string" && /^-?\d{16,}$/.test(value);
}

const MICROS_PER_UNIT: Readonly<Record<PollTimeUnit, number>> = { s: 1_000_000, ms: 1000, us: 1 };

/** A number, or the text of one, as a time; anything else as it is. */
function timed(value: unknown, unit: PollTimeUnit | undefined): unknown {
  if (unit === undefined) return value;
  const number = typeof value === "string" && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof number === "number" ? { micros: Math.round(number * MICROS_PER_UNIT[unit]) } : value;
}

/**
 * The page after `page`, as the state keeps it, or null where there is none. Throws `POLL_REFUSED` for one of another
 * origin, `POLL_ANSWER_INVALID` for one that is neither text nor number.
 */
export function nextPage(
  answer: PollAnswer,
  poll: PollDefinition,
  page: string | null,
  rowCount: number,
): string | null {
  const { pages } = poll;
  switch (pages?.kind) {
    case undefined:
      return null;
    case "number":
      return rowCount === 0 ? null : String(Number(page ?? pages.from) + 1);
    case "link": {
      const link = nextLink(answer.link);
      return link === null ? null : addressGiven(poll, link, answer.address, "its next page");
    }
    case "url":
    case "token": {
      const found = textAt(answer, pages.path);
      if (found === null || pages.kind === "token") return found;
      return addressGiven(poll, found, answer.address, "its next page");
    }
  }
}

/** Text or a number in the answer; null where it is missing, null, false or empty. */
export function textAt({ data, address }: PollAnswer, path: PollPath): string | null {
  const found = at(data, path);
  if (found === undefined || found === null || found === "" || found === false) return null;
  if (typeof found === "string" || typeof found === "number") return String(found);
  throw new OnefoldError("POLL_ANSWER_INVALID", `"${path.join(".")}" in the answer is neither text nor a number`, {
    where: placeOf(address),
  });
}

/** The target with rel="next" of a `Link` header (RFC 8288). */
function nextLink(header: string | null): string | null {
  for (const [, target, parameters] of (header ?? "").matchAll(/<([^>]*)>((?:\s*;\s*[^,;"]+(?:"[^"]*")?)*)/g)) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters!);
    if ((rel?.[1] ?? rel?.[2] ?? "").toLowerCase().split(/\s+/).includes("next")) return target!;
  }
  return null;
}
