/**
 * A route as data: its place, its schemas and what it does, without any HTTP library. `http.ts` mounts
 * routes on a server; an API description is generated from the same lists.
 */

import type { Readable } from "node:stream";
import type { ErrorCode } from "../base/errors.ts";
import type { AnswerBytes, LentBytes } from "./answer-bytes.ts";
import type { Asked } from "./kept-answers.ts";

/** A JSON schema (draft-07, the validator's dialect). */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface RouteRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** How whoever asks names itself; absent where it does not. */
  readonly consumer?: string;
  /** Checked against the route's schema; for `events` routes an `EventBody`, for `labels` routes perhaps a `LabelUpload`. */
  readonly body: unknown;
  /** The bytes that asked, good for the turn, where the route may `keep` its answer to them though it answers later. */
  readonly asked?: Asked | undefined;
  /** Aborted when the server closes, or whoever asked has gone: an answer that goes on must end. Absent within the process. */
  readonly ended?: AbortSignal;
}

export interface RouteAnswer {
  readonly status: number;
  /** Sent as JSON; with a content type of its own it is text, and sent as it is. */
  readonly body: unknown;
  /** `JSON.stringify(body)`, where a route can write that faster; `body` is not looked at then. */
  readonly jsonText?: () => string;
  /** The same as bytes, where a route puts those together itself. */
  readonly jsonBytes?: () => LentBytes;
  /** The same, written behind what stands in `out`; to be called in the turn that made the answer. May throw half-way. */
  readonly writeJson?: (out: AnswerBytes) => void;
  /** Keeps what was written last, before anything else is, under the bytes that asked for it, for the route's `repeat`. */
  readonly keep?: (asked: Asked) => void;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent instead of the body as it comes; with a content type of its own. */
  readonly stream?: Readable;
}

/** One that is written, and not kept as data. */
export type WrittenAnswer = RouteAnswer & Required<Pick<RouteAnswer, "writeJson">>;

/** What goes over the wire for an answer; `wire-answer.ts` makes it. */
export interface WireAnswer {
  readonly status: number;
  /** Beside content-type and what the protocol itself adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  /** Empty where it is bytes already. */
  readonly text: string;
  readonly encoded?: LentBytes;
  /** Of an error answer. */
  readonly code: ErrorCode | null;
}

export interface RouteSchemas {
  readonly params?: JsonSchema;
  /** Every property is a string: that is what a query holds. */
  readonly query?: JsonSchema;
  readonly body?: JsonSchema;
  /** Headers that the route reads, by name in lower case, beside those that the protocol itself has. */
  readonly headers?: Readonly<Record<string, JsonSchema>>;
  /** Likewise those of the answer with status 200. */
  readonly answerHeaders?: Readonly<Record<string, JsonSchema>>;
  /** Answers by status, for the API description; answers are not checked against them. */
  readonly answers: Readonly<Record<number, JsonSchema>>;
  /** Media type of the answer with status 200, or several; JSON where it is not given. */
  readonly answerType?: string | readonly string[];
}

export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** With parameters in braces: `/features/{entity_type}/{entity_id}`. */
  readonly path: string;
  readonly summary: string;
  /**
   * How a body is read: as one JSON value, as one in which whole numbers past the safe range stand as decimal
   * text, as events (JSON, a JSON array or NDJSON), as label rows (JSON, or a file of them that is not read here), or not
   * at all.
   */
  readonly reads: "json" | "wide-json" | "events" | "labels" | "nothing";
  readonly schemas: RouteSchemas;
  /** Answered by the fast door where the request is of the simple kind that it understands. */
  readonly isHot?: true;
  /** Tells some bodies by how they begin: the fast door asks it before it parses one. */
  readonly known?: KnownBodies;
  /** Throws where the path names what there is not: said before what is wrong with the body, which may be of no matter then. */
  readonly lookUp?: (params: Readonly<Record<string, string>>) => void;
  /** What it throws becomes an error answer. */
  readonly handle: (request: RouteRequest) => RouteAnswer | Promise<RouteAnswer>;
  /**
   * What `handle` would answer to the request with these bytes, from an answer that was kept, for `writeJson`; else null.
   * Good until the next one is asked for.
   */
  readonly repeat?: (asked: Asked, startMs: number) => WrittenAnswer | null;
}

/** Bodies that begin as one before them. */
export interface KnownBodies {
  /** The body `bytes[start, end)` for `handle`, which answers as to the parsed one; null where it is to be parsed, and checked. */
  find(bytes: Buffer, start: number, end: number): unknown;
  /** Is told of one that was parsed, and is valid. */
  learn(bytes: Buffer, start: number, end: number): void;
}

/** By which whoever asks names itself, for the count of who uses what. */
export const CONSUMER_HEADER = "x-onefold-consumer";

/** Of routes that answer with vectors. */
export const consumerHeaders: Readonly<Record<string, JsonSchema>> = {
  [CONSUMER_HEADER]: {
    type: "string",
    description: "how whoever asks names itself: what it reads is counted under that name",
  },
};

/** Of headers that say the same in every answer. */
export function sameHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { type: "string", const: value }]));
}

export const nameSchema: JsonSchema = { type: "string", minLength: 1, maxLength: 256 };

/** The body of every error answer. */
export const errorSchema: JsonSchema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message"],
      properties: {
        code: { type: "string", description: "one of the codes in docs/errors.md" },
        message: { type: "string" },
        where: { type: "string" },
        hint: { type: "string" },
        candidates: { type: "array", items: { type: "string" } },
      },
    },
  },
};
