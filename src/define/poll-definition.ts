/**
 * How a stream's rows are fetched from an HTTP API, as plain data: what to ask, how often, where the rows are in the
 * answer, and how the next page and the next poll are asked for. No secret is in it, only names of environment variables.
 *
 * What has a name of the user's choice stands in lists: a header may be called "owner" and still counts in the fingerprint.
 */
import type { DurationMicros } from "../base/micros.ts";

/** Names of members, from the outside in; empty is the whole. A number as text names an element of an array. */
export type PollPath = readonly string[];

/** A header or query parameter: a value, or the environment variable that holds it, behind `prefix`. */
export type PollText =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly env: string; readonly prefix?: string };

/** Where a column's value is in a row; the unit of a timestamp that comes as a number. */
export type PollColumn =
  | { readonly name: string; readonly path: PollPath; readonly unit?: PollTimeUnit }
  /** The values at several paths as one JSON text, for ids that an API does not give; null where one is missing. */
  | { readonly name: string; readonly parts: readonly PollPath[] };

export type PollTimeUnit = "s" | "ms" | "us";

/** How the next page of an answer is found; there is none where it is missing, null or empty. */
export type PollPages =
  /** The `Link` header with rel="next". */
  | { readonly kind: "link" }
  /** A URL in the answer, absolute or relative. */
  | { readonly kind: "url"; readonly path: PollPath }
  /** A token in the answer, given back as a query parameter. */
  | { readonly kind: "token"; readonly path: PollPath; readonly param: string }
  /** A number that counts up until an answer has no rows. */
  | { readonly kind: "number"; readonly param: string; readonly from: number };

interface PollCursorShape {
  /** Query parameter that it is sent as. */
  readonly param: string;
  /** Sent while nothing was fetched; absent sends none. */
  readonly start?: string;
  /** The API has more now: the answer is true at this path, or has so many rows. Absent waits for the next poll. */
  readonly more?: { readonly path: PollPath } | { readonly rows: number };
}

/** What a poll sends so that the API gives only what is new. */
export type PollCursor =
  /** A value in the answer. */
  | (PollCursorShape & { readonly kind: "answer"; readonly path: PollPath })
  /** The newest value of a column among the rows that the door let in, less `lookbackMicros` for a time. */
  | (PollCursorShape & { readonly kind: "column"; readonly column: string; readonly lookbackMicros?: DurationMicros });

export interface PollDefinition {
  readonly kind: "http";
  /** Absolute, http or https. */
  readonly url: string;
  readonly query: readonly PollText[];
  readonly headers: readonly PollText[];
  /** From the beginning of one poll to that of the next. */
  readonly everyMicros: DurationMicros;
  /** Of one request, its body included. */
  readonly timeoutMicros: DurationMicros;
  /** Longest body, unpacked. */
  readonly bodyBytesMax: number;
  /** Requests of one poll; what is left is fetched by the next. */
  readonly requestsMax: number;
  /** Where the rows are: an array of objects, or one object. */
  readonly rows: PollPath;
  /** Columns that are not at their own name in a row. */
  readonly columns: readonly PollColumn[];
  readonly pages?: PollPages;
  readonly cursor?: PollCursor;
}
