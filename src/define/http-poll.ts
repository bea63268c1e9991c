/**
 * `http({...})`: the `poll` option of a stream. What it gives is plain data; `poll-problems.ts` says what contradicts
 * itself in it, once the source is known.
 */
import { MICROS_PER_SECOND } from "../base/micros.ts";
import { callSite, refuse } from "./defined-at.ts";
import { duration } from "./duration.ts";
import { frozen } from "./frozen.ts";
import type {
  PollColumn,
  PollCursor,
  PollDefinition,
  PollPages,
  PollPath,
  PollText,
  PollTimeUnit,
} from "./poll-definition.ts";
import { checkOptions, unknownOptions } from "./shape.ts";
import type { DurationText } from "./typing.ts";

/** `data.items`, or a list of names where one of them has a dot. */
export type PathText = string | readonly string[];

/** The environment variable that holds the value, and what stands before it: `{ env: "TOKEN", prefix: "Bearer " }`. */
export interface FromEnvironment {
  readonly env: string;
  readonly prefix?: string;
}

type Texts = Readonly<Record<string, string | FromEnvironment>>;

export interface HttpPollOptions {
  /** Absolute, http or https; without a secret, which belongs in `headers` or `query`. */
  readonly url: string;
  /** From the beginning of one poll to that of the next. */
  readonly every: DurationText;
  readonly headers?: Texts;
  readonly query?: Texts;
  /** Where the rows are in the answer: an array of objects, or one object. Default: the answer itself. */
  readonly rows?: PathText;
  /**
   * Where columns are in a row; those not named are at their own name, and what no column names is passed over.
   * `unit` is for timestamps that come as numbers, `parts` makes an id of several values.
   */
  readonly columns?: Readonly<
    Record<
      string,
      PathText | { readonly path: PathText; readonly unit?: PollTimeUnit } | { readonly parts: readonly PathText[] }
    >
  >;
  /**
   * How the next page is found: in the `Link` header, as a URL or a token in the answer, or by a number that counts up
   * until an answer has no rows.
   */
  readonly pages?:
    | "link"
    | { readonly url: PathText }
    | { readonly token: PathText; readonly param: string }
    | { readonly number: string; readonly from?: number };
  /** What makes the API give only what is new: a value of its answer, or the newest value of a column. */
  readonly cursor?: CursorOptions;
  /** Of one request, its body included. Default 10s. */
  readonly timeout?: DurationText;
  /** Longest body, unpacked. Default 16 MiB. */
  readonly bodyBytesMax?: number;
  /** Requests of one poll; what is left is fetched by the next. Default 100. */
  readonly requestsMax?: number;
}

export type CursorOptions = {
  /** Query parameter that it is sent as. */
  readonly param: string;
  /** Sent while nothing was fetched. Another start makes the cursor begin anew. */
  readonly start?: string;
  /** There is more to ask for at once: where the answer says so, or from how many rows on. Default: wait for the next poll. */
  readonly more?: PathText | number;
} & (
  | { readonly answer: PathText }
  /** `lookback`, for times: so much is asked for again, for rows that the API shows late. */
  | { readonly column: string; readonly lookback?: DurationText }
);

const OPTIONS: readonly string[] = [
  "url",
  "every",
  "headers",
  "query",
  "rows",
  "columns",
  "pages",
  "cursor",
  "timeout",
  "bodyBytesMax",
  "requestsMax",
];
const TIMEOUT_MICROS = 10 * MICROS_PER_SECOND;
const BODY_BYTES_MAX = 16 * 1024 * 1024;
const REQUESTS_MAX = 100;

/** Rows that an HTTP API is asked for again and again: `stream("quotes", { ..., poll: http({ url, every: "5s" }) })`. Throws `DEFINITION_INVALID`. */
export function http(options: HttpPollOptions): PollDefinition {
  checkOptions(http, options, OPTIONS);
  const problems: string[] = [];
  const { url, headers = {}, query = {}, columns = {} } = options;
  if (typeof url !== "string") problems.push("url is missing: give the address to ask");
  if (options.every === undefined) problems.push('every is missing: give how often to ask, such as "5s"');
  for (const [name, members] of Object.entries({ headers, query, columns })) {
    if (typeof members !== "object" || members === null || Array.isArray(members))
      problems.push(`${name} is not an object of names`);
  }
  refuse({ name: "http", definedAt: callSite(http) }, "the call of", problems);
  const poll: PollDefinition = frozen({
    kind: "http",
    url,
    query: texts("query", query, problems),
    headers: texts("headers", headers, problems),
    everyMicros: duration("every", options.every, problems) ?? 0,
    timeoutMicros: duration("timeout", options.timeout, problems) ?? TIMEOUT_MICROS,
    bodyBytesMax: options.bodyBytesMax ?? BODY_BYTES_MAX,
    requestsMax: options.requestsMax ?? REQUESTS_MAX,
    rows: pathOf("rows", options.rows ?? "", problems),
    columns: Object.entries(columns).map(([name, column]) => columnOf(name, column, problems)),
    pages: pagesOf(options.pages, problems),
    cursor: cursorOf(options.cursor, problems),
  }) as PollDefinition;
  refuse({ name: "http", definedAt: callSite(http) }, "the call of", problems);
  return poll;
}

function pathOf(what: string, path: unknown, problems: string[]): PollPath {
  if (path === "") return [];
  const names = typeof path === "string" ? path.split(".") : path;
  const isPath = Array.isArray(names) && names.every((name) => typeof name === "string" && name !== "");
  if (!isPath) problems.push(`${what}: ${JSON.stringify(path)} is no path such as "data.items"`);
  return isPath ? (names as string[]) : [];
}

function texts(what: string, members: Texts, problems: string[]): PollText[] {
  return Object.entries(members).map(([name, value]): PollText => {
    if (typeof value === "string") return { name, value };
    const { env, prefix } = (value ?? {}) as Partial<FromEnvironment>;
    const isText = typeof env === "string" && (prefix === undefined || typeof prefix === "string");
    // The value itself may be a secret, so it is not shown.
    if (!isText) problems.push(`${what}.${name} is neither a text nor { env: "NAME" }`);
    problems.push(...unknownOptions(value, ["env", "prefix"]).map((problem) => `${what}.${name}: ${problem}`));
    return { name, env: String(env), ...(prefix === undefined ? {} : { prefix }) };
  });
}

type ColumnOption = NonNullable<HttpPollOptions["columns"]>[string];

function columnOf(name: string, column: ColumnOption, problems: string[]): PollColumn {
  const what = `columns.${name}`;
  if (typeof column === "string" || Array.isArray(column)) return { name, path: pathOf(what, column, problems) };
  const { path, unit, parts } = (column ?? {}) as { path?: PathText; unit?: PollTimeUnit; parts?: readonly PathText[] };
  problems.push(...unknownOptions(column, ["path", "unit", "parts"]).map((problem) => `${what}: ${problem}`));
  if (Array.isArray(parts)) return { name, parts: parts.map((part) => pathOf(what, part, problems)) };
  return { name, path: pathOf(what, path, problems), ...(unit === undefined ? {} : { unit }) };
}

function pagesOf(pages: HttpPollOptions["pages"], problems: string[]): PollPages | undefined {
  if (pages === undefined) return undefined;
  if (pages === "link") return { kind: "link" };
  const given: Readonly<Record<string, unknown>> = typeof pages === "object" && pages !== null ? pages : {};
  if ("url" in given) return { kind: "url", path: pathOf("pages.url", given["url"], problems) };
  const { token, param, number, from = 1 } = given;
  if (token !== undefined)
    return { kind: "token", path: pathOf("pages.token", token, problems), param: String(param ?? "") };
  if (typeof number === "string") return { kind: "number", param: number, from: from as number };
  problems.push('pages is none of "link", { url }, { token, param } and { number }');
  return undefined;
}

function cursorOf(cursor: CursorOptions | undefined, problems: string[]): PollCursor | undefined {
  if (cursor === undefined) return undefined;
  const known = ["param", "start", "more", "answer", "column", "lookback"];
  problems.push(...unknownOptions(cursor, known).map((problem) => `cursor: ${problem}`));
  const { param, start, more, answer, column, lookback } = cursor as Partial<
    Extract<CursorOptions, { column: string }> & Extract<CursorOptions, { answer: PathText }>
  >;
  const shape = {
    param: String(param ?? ""),
    ...(start === undefined ? {} : { start: String(start) }),
    ...(more === undefined
      ? {}
      : { more: typeof more === "number" ? { rows: more } : { path: pathOf("cursor.more", more, problems) } }),
  };
  if (answer !== undefined && column === undefined && lookback === undefined)
    return { kind: "answer", ...shape, path: pathOf("cursor.answer", answer, problems) };
  if (typeof column === "string" && answer === undefined) {
    const lookbackMicros = duration("cursor.lookback", lookback, problems);
    return { kind: "column", ...shape, column, ...(lookbackMicros === undefined ? {} : { lookbackMicros }) };
  }
  problems.push("cursor has either an answer, a path in what the API answers, or a column, and its lookback");
  return undefined;
}
