/**
 * What contradicts itself in a polled source, whether the DSL wrote it or another language did.
 */
import { formatDuration, MICROS_PER_DAY, MICROS_PER_MINUTE } from "../base/micros.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { formatType } from "../schema/value.ts";
import type { StreamDefinition } from "./definition.ts";
import type { PollDefinition, PollText } from "./poll-definition.ts";

const EVERY_MICROS_MIN = 100_000;
const EVERY_MICROS_MAX = 7 * MICROS_PER_DAY;
const TIMEOUT_MICROS_MAX = 10 * MICROS_PER_MINUTE;
const BODY_BYTES_LIMIT = 256 * 1024 * 1024;
const REQUESTS_LIMIT = 10_000;

/** A sentence for each contradiction; empty when there is none, or nothing is polled. */
export function pollProblems(source: StreamDefinition): string[] {
  const { poll } = source;
  if (poll === undefined) return [];
  return [
    ...identityProblems(source, poll),
    ...urlProblems(poll.url),
    ...poll.headers.flatMap((header) => headerProblems(header)),
    ...[...poll.headers, ...poll.query].flatMap(textProblems),
    ...limitProblems(poll),
    ...columnProblems(source, poll),
    ...parameterProblems(poll),
    ...cursorProblems(source, poll),
  ].map((problem) => `poll: ${problem}`);
}

/** What is fetched twice is told by its id alone, so each row must have one, remembered from poll to poll. */
function identityProblems(source: StreamDefinition, poll: PollDefinition): string[] {
  if (source.id === undefined) {
    return [
      'a polled source needs an id, by which rows that are fetched again are told: name its column with id: "..."',
    ];
  }
  const column = source.columns.find(({ name }) => name === source.id);
  const problems: string[] = [];
  if (column?.nullable === true) {
    problems.push(
      `the id of a polled source cannot be nullable, as column "${source.id}" is: a row without one would count at every poll`,
    );
  }
  if (source.dedupeWithinMicros <= poll.everyMicros) {
    problems.push(
      `dedupeWithin (${formatDuration(source.dedupeWithinMicros)}) must be longer than every (${formatDuration(poll.everyMicros)}): rows that are fetched again would count again`,
    );
  }
  return problems;
}

function urlProblems(text: string): string[] {
  if (!URL.canParse(text)) return ["url is not an absolute URL such as https://api.example.com/v1/quotes"];
  const url = new URL(text);
  return [
    ...(["http:", "https:"].includes(url.protocol)
      ? []
      : [`url begins with ${url.protocol}, not with http: or https:`]),
    ...(url.username === "" && url.password === ""
      ? []
      : ["url has a user or password in it: send them in a header, from an environment variable"]),
    ...(url.hash === "" ? [] : ["url has a part behind #, which no server sees"]),
    ...[...url.searchParams.keys()].filter(holdsSecret).map((name) => inPlainText(`url's parameter "${name}"`, name)),
  ];
}

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Those that the poll itself or the connection sets. */
const HEADERS_SET: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "if-modified-since",
  "if-none-match",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

function headerProblems(header: PollText): string[] {
  const { name } = header;
  if (!HEADER_NAME.test(name)) return [`${JSON.stringify(name)} is no name of a header`];
  if (HEADERS_SET.has(name.toLowerCase())) return [`the header ${name} is set by the poll itself`];
  const value = "value" in header ? header.value : (header.prefix ?? "");
  return /^[\t\x20-\x7e]*$/.test(value) ? [] : [`the value of the header ${name} has characters that no header has`];
}

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const SECRET_NAME =
  /^(?:proxy-)?authorization$|^cookie$|(?:^|[-_])(?:api-?_?key|apikey|(?:access|auth|bearer|private)[-_]?(?:key|token)|secret|password|passwd|pwd|signature)(?:$|[-_])/i;

function holdsSecret(name: string): boolean {
  return SECRET_NAME.test(name);
}

function inPlainText(what: string, name: string): string {
  const variable = name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_");
  return `${what} holds a secret, which a definition is no place for: name the environment variable that has it, ${name}: { env: "${variable}" }`;
}

function textProblems(text: PollText): string[] {
  if ("value" in text) return holdsSecret(text.name) ? [inPlainText(`"${text.name}"`, text.name)] : [];
  return ENVIRONMENT_NAME.test(text.env)
    ? []
    : [`"${text.name}": ${JSON.stringify(text.env)} is no name of an environment variable`];
}

function limitProblems(poll: PollDefinition): string[] {
  const { everyMicros, timeoutMicros, bodyBytesMax, requestsMax } = poll;
  return [
    ...(everyMicros >= EVERY_MICROS_MIN && everyMicros <= EVERY_MICROS_MAX ? [] : ["every is from 100ms to 7d"]),
    ...(timeoutMicros > 0 && timeoutMicros <= TIMEOUT_MICROS_MAX ? [] : ["timeout is up to 10m"]),
    ...wholeProblems("bodyBytesMax", bodyBytesMax, BODY_BYTES_LIMIT),
    ...wholeProblems("requestsMax", requestsMax, REQUESTS_LIMIT),
  ];
}

function wholeProblems(what: string, value: number, limit: number): string[] {
  return Number.isSafeInteger(value) && value >= 1 && value <= limit
    ? []
    : [`${what} is a whole number from 1 to ${limit}`];
}

function columnProblems(source: StreamDefinition, poll: PollDefinition): string[] {
  return poll.columns.flatMap((column): string[] => {
    const declared = source.columns.find(({ name }) => name === column.name);
    if (declared === undefined) return [missing(`columns.${column.name}`, column.name, source)];
    if ("parts" in column) {
      if (column.parts.length === 0) return [`columns.${column.name}: parts is empty`];
      return declared.type.name === "string"
        ? []
        : [`columns.${column.name}: parts make a string, not ${formatType(declared.type)}`];
    }
    if (column.unit === undefined) return [];
    if (!["s", "ms", "us"].includes(column.unit)) return [`columns.${column.name}: the unit is "s", "ms" or "us"`];
    return declared.type.name === "timestamp"
      ? []
      : [`columns.${column.name}: a unit is for timestamps, not for ${formatType(declared.type)}`];
  });
}

function missing(what: string, name: string, source: StreamDefinition): string {
  const near = nearestNames(
    name,
    source.columns.map((column) => column.name),
  );
  return `${what}: there is no column "${name}"${near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`}`;
}

/** Each parameter says one thing. */
function parameterProblems({ query, pages, cursor }: PollDefinition): string[] {
  const params = [
    ...query.map(({ name }) => name),
    ...(pages !== undefined && "param" in pages ? [pages.param] : []),
    ...(cursor === undefined ? [] : [cursor.param]),
  ];
  return [
    ...(params.includes("") ? ["a query parameter has no name"] : []),
    ...[...new Set(params.filter((name, i) => name !== "" && params.indexOf(name) !== i))].map(
      (name) => `the query parameter "${name}" is set twice`,
    ),
    ...(pages?.kind === "number" && !Number.isSafeInteger(pages.from) ? ["pages.from is not a whole number"] : []),
    ...(pages !== undefined && "path" in pages && pages.path.length === 0 ? ["pages: its path is empty"] : []),
  ];
}

function cursorProblems(source: StreamDefinition, { cursor }: PollDefinition): string[] {
  if (cursor === undefined) return [];
  const problems: string[] = [];
  if (cursor.more !== undefined) {
    const isGood =
      "rows" in cursor.more
        ? Number.isSafeInteger(cursor.more.rows) && cursor.more.rows >= 1
        : cursor.more.path.length > 0;
    if (!isGood) problems.push("cursor.more is a path in the answer, or a number of rows from 1");
  }
  if (cursor.kind === "answer")
    return cursor.path.length > 0 ? problems : [...problems, "cursor.answer is an empty path"];
  const column = source.columns.find(({ name }) => name === cursor.column);
  if (column === undefined) return [...problems, missing("cursor.column", cursor.column, source)];
  const { name: type } = column.type;
  if (!["int64", "float64", "string", "timestamp"].includes(type)) {
    problems.push(
      `cursor.column: of ${formatType(column.type)} there is no newest; it is a timestamp, a number or a string`,
    );
  }
  if (cursor.lookbackMicros === undefined) return problems;
  if (type !== "timestamp")
    problems.push(`cursor.lookback is for timestamps, and column "${cursor.column}" is ${formatType(column.type)}`);
  if (cursor.lookbackMicros >= source.dedupeWithinMicros) {
    problems.push("cursor.lookback must be shorter than dedupeWithin: rows that are fetched again would count again");
  }
  return problems;
}
