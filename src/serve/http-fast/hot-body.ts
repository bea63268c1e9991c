/**
 * The body of a request for a hot route as a JSON value.
 */
import { isAscii } from "node:buffer";
import { parseWideJson } from "../../schema/json-text.ts";
import { bodyText } from "../request-body.ts";
import type { Route } from "../route.ts";
import type { HotRoute } from "./hot-routes.ts";

export const NOT_VALID: unique symbol = Symbol("not valid");

/** `bytes[start, end)` as the route takes it; `NOT_VALID` where it is no JSON, or not as the route's schema says. */
export function hotBody({ route, bodyIsValid }: HotRoute, bytes: Buffer, start: number, end: number): unknown {
  const { known } = route;
  const found = known?.find(bytes, start, end) ?? null;
  if (found !== null) return found;
  const body = start < end ? parseJson(route, bytes.subarray(start, end)) : undefined;
  if (body === NOT_VALID || !bodyIsValid(body)) return NOT_VALID;
  known?.learn(bytes, start, end);
  return body;
}

/** `NOT_VALID` where it is none. */
function parseJson({ reads }: Route, body: Buffer): unknown {
  try {
    const text = isAscii(body) ? body.toString("latin1") : bodyText(body);
    return reads === "wide-json" ? parseWideJson(text) : JSON.parse(text);
  } catch {
    // The ordinary server finds the fault and names its place.
    return NOT_VALID;
  }
}
