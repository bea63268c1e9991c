/**
 * What goes over the wire for a route's answer, or for what was thrown instead: status, headers and text.
 * Both HTTP doors send exactly this.
 */
import { asOnefoldError, type OnefoldError } from "../base/errors.ts";
import { writtenText } from "./answer-bytes.ts";
import type { RouteAnswer, WireAnswer, WrittenAnswer } from "./route.ts";
import { shownError } from "./shown-error.ts";

/** Told of every error that is the server's own fault; `request` is method and path, without its query. */
export type OnServerError = (error: unknown, request: string) => void;

export const JSON_TYPE: string = "application/json; charset=utf-8";
export const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** Throws where the body cannot be serialized: before anything is sent, so that no answer is half-written. */
export function wireAnswer(answer: RouteAnswer): WireAnswer {
  const { status, headers = NO_HEADERS } = answer;
  const isError = status >= 400;
  const encoded = answer.jsonBytes?.();
  return {
    status,
    headers: status === 429 || status === 503 ? { "retry-after": "1", ...headers } : headers,
    contentType: answer.contentType ?? JSON_TYPE,
    text: encoded !== undefined ? "" : answer.contentType === undefined ? jsonText(answer) : String(answer.body),
    ...(encoded === undefined ? {} : { encoded }),
    code: isError ? (answer.body as { error: OnefoldError }).error.code : null,
  };
}

export function isWritten(answer: RouteAnswer | Promise<RouteAnswer>): answer is WrittenAnswer {
  return (answer as RouteAnswer).writeJson !== undefined;
}

function jsonText(answer: RouteAnswer): string {
  if (isWritten(answer)) return writtenText((out) => answer.writeJson(out));
  return answer.jsonText === undefined ? JSON.stringify(answer.body) : answer.jsonText();
}

export function wireError(thrown: unknown, onError: OnServerError, request: string): WireAnswer {
  const error = asOnefoldError(thrown);
  // An on-demand view that fails is told of elsewhere, not at every request.
  const isOwn = error.status >= 500 && error.status !== 503 && !error.code.startsWith("ON_DEMAND_");
  if (isOwn) onError(thrown, request);
  return wireAnswer({ status: error.status, body: { error: shownError(error, "request") } });
}
