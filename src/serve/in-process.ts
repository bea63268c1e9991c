/**
 * The routes without a network: the same answers for a caller in this process.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Route } from "./route.ts";
import { methodsOfPath } from "./routes.ts";

export type CallRoute = (
  method: "GET" | "POST",
  path: string,
  body?: unknown,
) => Promise<Readonly<Record<string, unknown>>>;

/** Throws `ROUTE_UNKNOWN`, and what the route throws. Bodies are taken as they are, without the schema check of the wire. */
export function createCaller(routes: readonly Route[]): CallRoute {
  return async (method, path, body) => {
    const [pathname = "", query = ""] = path.split("?");
    const segments = pathname.split("/");
    for (const route of routes) {
      if (route.method !== method) continue;
      const params = matchPath(route.path.split("/"), segments);
      if (params === null) continue;
      const answer = route.handle({ params, query: Object.fromEntries(new URLSearchParams(query)), body });
      // A vector is good within the turn that read it: its body is taken before anyone else gets a turn.
      if (!(answer instanceof Promise)) return answer.body as Readonly<Record<string, unknown>>;
      return (await answer).body as Readonly<Record<string, unknown>>;
    }
    const methods = methodsOfPath(routes, pathname);
    throw new OnefoldError("ROUTE_UNKNOWN", `there is no route ${method} ${pathname}`, {
      candidates: methods.map((known) => `${known} ${pathname}`),
    });
  };
}

function matchPath(pattern: readonly string[], segments: readonly string[]): Record<string, string> | null {
  if (pattern.length !== segments.length) return null;
  const params: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    const segment = segments[i]!;
    if (part.startsWith("{")) params[part.slice(1, -1)] = decodeURIComponent(segment);
    else if (part !== segment) return null;
  }
  return params;
}
