/**
 * The body of a request for a hot route as a JSON value.
 */
import { isAscii } from "node:buffer";
import { parseWideJson } from "../../schema/json-text.ts";
import { bodyText } from "../request-body.ts";
import type { Route } from "../route.ts";

export const NOT_JSON: unique symbol = Symbol("not JSON");

/** `NOT_JSON` where it is none. */
export function parseJson({ reads }: Route, body: Buffer): unknown {
  try {
    const text = isAscii(body) ? body.toString("latin1") : bodyText(body);
    return reads === "wide-json" ? parseWideJson(text) : JSON.parse(text);
  } catch {
    // The ordinary server finds the fault and names its place.
    return NOT_JSON;
  }
}
