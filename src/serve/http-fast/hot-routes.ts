/**
 * Which request heads go to which hot route, with their parameters, query and length. A path or query that
 * could be read in more than one way (odd escapes, repeated names, empty parts) goes to none of them.
 */
import { newAnswerSpace } from "../kept-answers.ts";
import type { JsonSchema, Route } from "../route.ts";
import { receivedWords } from "../socket-bytes.ts";
import { parseRequestHead } from "./request-head.ts";

/** Whether a value is as a schema says. The ordinary server's own, so that both refuse the same. */
export type Validate = (value: unknown) => boolean;
export type CompileSchema = (schema: JsonSchema, route: Route, part: "body" | "params" | "querystring") => Validate;

export interface HotRoute {
  readonly route: Route;
  readonly bodyIsValid: Validate;
}

/** All that a request's head says; heads that are the same text share one. */
export interface HotHead {
  readonly hot: HotRoute;
  /** The whole head; empty where it is not kept. */
  readonly bytes: Uint8Array;
  /** The same by four; what is left over of them is not here. */
  readonly words: Int32Array;
  /** As it was sent, without its query. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
  /** How whoever asks names itself; empty where it does not. */
  readonly consumer: string;
  /** In which answers to its bodies are kept; null where they are not. */
  readonly meaning: HeadMeaning | null;
}

/**
 * What heads ask for: answers hang on the target, and on nothing else that a head says. So clients whose heads differ (by
 * their own names, or by the trace of each request) are given each other's answers.
 */
export interface HeadMeaning {
  /** 0 where it was not asked for a second time. */
  space: number;
}

interface Pattern extends HotRoute {
  readonly segments: readonly string[];
  readonly paramsAreValid: Validate;
  readonly queryIsValid: Validate;
}

/** Decoded as they are, by every reading of RFC 3986; `%25` and what cannot be decoded are not among them. */
const PATH_PART = /^(?:[\w.~:@,|!*'()$&=-]|%(?!25)[0-9A-Fa-f]{2})+$/;
const QUERY_VALUE = /^(?:[\w.~:@,|!*'()$/-]|%[0-9A-Fa-f]{2})+$/;
/** The router refuses longer ones once they are decoded, which makes them no longer. */
const PATH_PART_LENGTH_MAX = 3 * 1024;
/** Heads of one client are alike; a bound holds whatever clients send. */
const HEADS_KEPT_MAX = 1000;
const KEPT_HEAD_LENGTH_MAX = 1024;
const NOTHING: Readonly<Record<string, string>> = Object.freeze({});
const NO_BYTES: Uint8Array = new Uint8Array(0);

export class HotRoutes {
  readonly #patterns: readonly Pattern[];
  /** Parsing is pure, so a head that came before means the same again. */
  readonly #heads = new Map<string, HotHead>();
  /** By target. */
  readonly #meanings = new Map<string, HeadMeaning>();

  constructor(routes: readonly Route[], compile: CompileSchema) {
    this.#patterns = routes
      .filter((route) => route.isHot === true)
      .map((route) => ({
        route,
        segments: route.path.split("/"),
        bodyIsValid: compileOr(route, "body", compile),
        paramsAreValid: compileOr(route, "params", compile),
        queryIsValid: compileOr(route, "querystring", compile),
      }));
  }

  /** Of a whole head; null where the ordinary server is to answer. */
  find(headText: string): HotHead | null {
    const known = this.#heads.get(headText);
    if (known !== undefined) return headAgain(known);
    // A copy: the text is a slice of all that came with it, and what is kept of it would keep that too.
    const ownText = Buffer.from(headText, "latin1").toString("latin1");
    const head = parseRequestHead(ownText);
    if (head === null) return null;
    const [path = "", query, ...more] = head.target.split("?");
    if (more.length > 0 || (query !== undefined && head.method === "POST")) return null;
    const segments = path.split("/");
    for (const pattern of this.#patterns) {
      if (pattern.route.method !== head.method) continue;
      const params = matchPath(pattern, segments);
      if (params === null) continue;
      const asked = query === undefined ? NOTHING : parseQuery(query);
      if (asked === null || !pattern.queryIsValid(asked)) return null;
      const { bodyBytes, consumer } = head;
      // A URL with a key in it hardly comes again.
      const isKept = head.method === "POST" && ownText.length <= KEPT_HEAD_LENGTH_MAX;
      const bytes = isKept ? Uint8Array.from(Buffer.from(ownText, "latin1")) : NO_BYTES;
      const meaning = head.method === "POST" ? this.#meaningOf(head.target) : null;
      const words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
      const found: HotHead = { hot: pattern, bytes, words, path, params, query: asked, bodyBytes, consumer, meaning };
      if (isKept) this.#keep(ownText, found);
      return found;
    }
    return null;
  }

  /** One that came before has come again with this. */
  #meaningOf(target: string): HeadMeaning | null {
    if (target.length > KEPT_HEAD_LENGTH_MAX) return null;
    const known = this.#meanings.get(target);
    if (known !== undefined) return comeAgain(known);
    if (this.#meanings.size >= HEADS_KEPT_MAX) {
      this.#meanings.clear();
      // Or they went on with the former meanings, and their clients were given no answers of those who come anew.
      this.#heads.clear();
    }
    const meaning: HeadMeaning = { space: 0 };
    // A copy: the target is a slice of its head.
    this.#meanings.set(Buffer.from(target, "latin1").toString("latin1"), meaning);
    return meaning;
  }

  #keep(text: string, head: HotHead): void {
    if (this.#heads.size >= HEADS_KEPT_MAX) this.#heads.clear();
    this.#heads.set(text, head);
  }
}

/** The head, if it stands at `start` in what was received up to `end`: nothing of it is cut out to be looked up. */
export function sameHead(head: HotHead | null, received: Uint8Array, start: number, end: number): HotHead | null {
  if (head === null) return null;
  const { bytes } = head;
  const { length } = bytes;
  if (length === 0 || start + length > end) return null;
  const blockWords = start === 0 ? receivedWords(received) : null;
  if (blockWords !== null) return isAtStart(head, received, blockWords) ? headAgain(head) : null;
  // Heads differ in a length, at their end, more often than elsewhere.
  for (let i = length - 1; i >= 0; i--) if (bytes[i] !== received[start + i]) return null;
  return headAgain(head);
}

/** The same by four bytes a step. */
function isAtStart({ bytes, words }: HotHead, received: Uint8Array, receivedBy4: Int32Array): boolean {
  for (let i = words.length - 1; i >= 0; i--) if (words[i] !== receivedBy4[i]) return false;
  for (let i = 4 * words.length; i < bytes.length; i++) if (bytes[i] !== received[i]) return false;
  return true;
}

function headAgain(head: HotHead): HotHead {
  if (head.meaning !== null) comeAgain(head.meaning);
  return head;
}

/** Not at the first time: a target that nobody asks for twice needs no answers kept. */
function comeAgain(meaning: HeadMeaning): HeadMeaning {
  if (meaning.space === 0) meaning.space = newAnswerSpace();
  return meaning;
}

function compileOr(route: Route, part: "body" | "params" | "querystring", compile: CompileSchema): Validate {
  const schema = route.schemas[part === "querystring" ? "query" : part];
  return schema === undefined ? () => true : compile(schema, route, part);
}

function matchPath(pattern: Pattern, segments: readonly string[]): Record<string, string> | null {
  if (pattern.segments.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (let i = 0; i < segments.length; i++) {
    const part = pattern.segments[i]!;
    const segment = segments[i]!;
    if (!part.startsWith("{")) {
      if (part !== segment) return null;
      continue;
    }
    if (segment.length > PATH_PART_LENGTH_MAX || !PATH_PART.test(segment)) return null;
    const text = decode(segment);
    if (text === null) return null;
    params[part.slice(1, -1)] = text;
  }
  return pattern.paramsAreValid(params) ? params : null;
}

function parseQuery(query: string): Record<string, string> | null {
  const values: Record<string, string> = {};
  for (const pair of query.split("&")) {
    const [name = "", value = "", ...more] = pair.split("=");
    if (more.length > 0 || !/^[a-z]+$/.test(name) || !QUERY_VALUE.test(value) || Object.hasOwn(values, name))
      return null;
    const text = decode(value);
    if (text === null) return null;
    values[name] = text;
  }
  return values;
}

function decode(text: string): string | null {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Not UTF-8: the ordinary server says so.
    return null;
  }
}
