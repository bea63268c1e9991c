/**
 * The transport over HTTP: keep-alive connections of `node:http`, JSON both ways.
 */
import { Agent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as SecureAgent, request as httpsRequest } from "node:https";
import { type ErrorCode, OnefoldError } from "../base/errors.ts";
import {
  type Json,
  jsonText,
  optionMembers,
  otherServer,
  parseObject,
  questionOf,
  serverError,
  unreachable,
} from "./json-body.ts";
import {
  type Answered,
  type Asked,
  type AskOptions,
  isOfQuestion,
  isPassing,
  type PushAnswer,
  type Transport,
} from "./transport.ts";

/** A request is sent again without its wrong element so often. */
const FAULTS_MAX = 3;

const START = "onefold serve";

interface Exchanged {
  readonly status: number;
  /** Null for what is no JSON object. */
  readonly answer: Json | null;
  readonly location: string | undefined;
}

export interface HttpTransportOptions {
  /** `http://host:port` or `https://host:port`, with a path in front of the routes where there is one. */
  readonly url: string;
  /** Sent with every request: an authorization, say. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Connections that are open at a time. */
  readonly connections: number;
}

export class HttpTransport implements Transport {
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: Agent;
  readonly #send: typeof httpRequest;

  /** Throws `REQUEST_INVALID` for an address that is none. */
  constructor({ url, headers = {}, connections }: HttpTransportOptions) {
    this.#base = baseOf(url);
    this.#headers = headers;
    const isSecure = this.#base.protocol === "https:";
    const options = { keepAlive: true, maxSockets: connections, scheduling: "lifo" } as const;
    this.#agent = isSecure ? new SecureAgent(options) : new Agent(options);
    this.#send = isSecure ? httpsRequest : httpRequest;
  }

  async vectors(
    service: string,
    asked: readonly Asked[],
    options: AskOptions,
    signal: AbortSignal,
  ): Promise<(Answered | OnefoldError)[]> {
    const path = `/services/${encodeURIComponent(service)}`;
    const [only] = asked;
    if (asked.length === 1) return [await this.#alone(path, only!, options, signal)];
    const waiting = asked.map((one, place) => ({ one, place }));
    const results: (Answered | OnefoldError)[] = [];
    for (let faults = 0; waiting.length > 0 && faults < FAULTS_MAX; faults++) {
      const entities = waiting.map(({ one }) => one.entities);
      const requests = waiting.map(({ one }) => one.request ?? {});
      const request = waiting.some(({ one }) => one.request !== undefined) ? { request: requests } : {};
      try {
        const answer = await this.#post(`${path}/vectors`, { entities, ...request, ...optionMembers(options) }, signal);
        const answered = answer["results"] as readonly Answered[];
        if (!Array.isArray(answered) || answered.length !== waiting.length) throw this.#noAnswer(`${path}/vectors`);
        waiting.forEach(({ place }, i) => (results[place] = answered[i]!));
        return results;
      } catch (error) {
        // One bad key refuses the whole request, and the error says which: the others are asked again.
        const place = error instanceof OnefoldError ? faultyElement(error) : null;
        const [faulty] = place === null ? [] : waiting.splice(place, 1);
        if (faulty === undefined) throw error;
        results[faulty.place] = askedAlone(error as OnefoldError);
      }
    }
    // Many are wrong: each for itself, and not one request after another for each of them.
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    await Promise.all(
      waiting.map(async ({ one, place }) => {
        results[place] = await this.#vector(path, one, options, either).catch((error: unknown) => {
          if (error instanceof OnefoldError && !isPassing(error)) return error;
          // All are to be asked again: the others need not be answered before.
          failed.abort(error);
          throw error;
        });
      }),
    );
    return results;
  }

  async #alone(path: string, asked: Asked, options: AskOptions, signal: AbortSignal): Promise<Answered | OnefoldError> {
    try {
      return await this.#vector(path, asked, options, signal);
    } catch (error) {
      if (error instanceof OnefoldError && isOfQuestion(error)) return error;
      throw error;
    }
  }

  async #vector(path: string, asked: Asked, options: AskOptions, signal: AbortSignal): Promise<Answered> {
    const answer = await this.#post(`${path}/vector`, questionOf(asked, options), signal);
    if (!("features" in answer)) throw this.#noAnswer(`${path}/vector`);
    return answer as unknown as Answered;
  }

  async push(source: string, rows: readonly unknown[], signal: AbortSignal): Promise<PushAnswer> {
    const answer = await this.#post(`/events/${encodeURIComponent(source)}`, rows, signal, "outcomes");
    return answer as unknown as PushAnswer;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  /** A body with the member `partial` is an answer, whatever its status. */
  async #post(path: string, body: unknown, signal: AbortSignal, partial?: string): Promise<Json> {
    const { status, answer, location } = await this.#exchange(path, jsonText(body), signal);
    if (answer !== null && (status === 200 || (partial !== undefined && partial in answer))) return answer;
    const code = codeOfStatus(status);
    throw serverError(answer?.["error"], code) ?? this.#otherError(path, status, code, location);
  }

  /** What answered without an error of ours: something between, or another server. */
  #otherError(path: string, status: number, code: ErrorCode, location: string | undefined): OnefoldError {
    const { origin } = this.#base;
    const answered = `status ${status} for POST ${path}${location === undefined ? "" : `, which is at ${location}`}`;
    if (code === "SERVER_UNREACHABLE") return unreachable(origin, answered, START);
    if (code === "INTERNAL") return otherServer(origin, answered, START);
    return new OnefoldError(code, `${origin} answered with ${answered}, and not as Onefold does`, {
      hint:
        code === "ACCESS_DENIED"
          ? "something between refused, a proxy say: give what it asks for among headers"
          : "something between refused, a proxy say: ask for less at a time",
    });
  }

  #noAnswer(path: string): OnefoldError {
    return otherServer(this.#base.origin, `no vectors for POST ${path}`, START);
  }

  #exchange(path: string, text: string, signal: AbortSignal): Promise<Exchanged> {
    return new Promise((resolve, reject) => {
      const url = new URL(this.#base.pathname.replace(/\/$/, "") + path, this.#base);
      const headers = {
        ...this.#headers,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      };
      const call = this.#send(url, { method: "POST", agent: this.#agent, headers, signal }, (response) => {
        readText(response).then((received) => {
          const { location } = response.headers;
          resolve({ status: response.statusCode ?? 0, answer: parseObject(received), location });
        }, fail);
      });
      const fail = (cause: unknown): void => {
        if (signal.aborted) reject(signal.reason as Error);
        else reject(unreachable(this.#base.origin, (cause as Error).message, START, cause));
      };
      call.on("error", fail);
      call.end(text);
    });
  }
}

function baseOf(url: string): URL {
  if (URL.canParse(url)) {
    const base = new URL(url);
    if (base.protocol === "http:" || base.protocol === "https:") return base;
  }
  throw new OnefoldError("REQUEST_INVALID", `${JSON.stringify(url)} is not the address of a server`, {
    where: "url",
    hint: "give http://host:port, https://host:port or redis://host:port",
  });
}

const ELEMENT = /^(?:entities|request)\[(\d+)\] ?/;

/** Place of the one element that an error is about. */
function faultyElement(error: OnefoldError): number | null {
  const match = ELEMENT.exec(error.where ?? "");
  return match === null ? null : Number(match[1]);
}

/** The same error without the place among those that happened to be asked together. */
function askedAlone(error: OnefoldError): OnefoldError {
  const { where, ...details } = error.toJSON();
  const rest = String(where).replace(ELEMENT, "");
  return new OnefoldError(error.code, error.message, {
    ...details,
    ...(rest === "" ? {} : { where: rest }),
    cause: error,
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += chunk as string;
  return text;
}

/** What stands between (a proxy, say) has no codes of ours. */
function codeOfStatus(status: number): ErrorCode {
  if (status === 401 || status === 403) return "ACCESS_DENIED";
  if (status === 429) return "BACKPRESSURE";
  return status >= 500 ? "SERVER_UNREACHABLE" : "INTERNAL";
}
