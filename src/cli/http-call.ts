/** One call of a running server, with its errors turned back into `OnefoldError`s. */
import { ERROR_CODES, type ErrorCode, OnefoldError } from "../base/errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Answers the JSON body of a 2xx answer, or of one with a status in `alsoGood`. Throws the server's own
 * error, `SERVER_UNREACHABLE` where no server answers at `url`, and `REQUEST_INVALID` where that is no address.
 */
export async function callServer(
  url: string,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
  alsoGood: readonly number[] = [],
): Promise<JsonObject> {
  if (!URL.canParse(path, url)) {
    throw new OnefoldError("REQUEST_INVALID", `"${url}" is not the address of a server`, {
      hint: "write it as http://127.0.0.1:8080",
    });
  }
  let response: Response;
  try {
    response = await fetch(new URL(path, url), {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body, finite), headers: { "content-type": "application/json" } }),
    });
  } catch (cause) {
    throw new OnefoldError("SERVER_UNREACHABLE", `no server answers at ${url}`, {
      hint: "check the address, or start one with: onefold serve",
      cause,
    });
  }
  const text = await response.text();
  const answer = parseObject(text);
  if (answer !== null && (response.ok || alsoGood.includes(response.status))) return answer;
  throw serverError(answer?.["error"], `${method} ${path} answered ${response.status}`);
}

/** JSON has no NaN or infinity: as text the server refuses them, as null they would slip in. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

function parseObject(text: string): JsonObject | null {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? (value as JsonObject) : null;
  } catch {
    return null;
  }
}

function serverError(error: unknown, fallback: string): OnefoldError {
  const { code, message, where, hint, candidates } = (error ?? {}) as Readonly<Record<string, unknown>>;
  const isKnown = typeof code === "string" && Object.hasOwn(ERROR_CODES, code);
  return new OnefoldError(
    isKnown ? (code as ErrorCode) : "INTERNAL",
    typeof message === "string" ? message : fallback,
    {
      ...(typeof where === "string" ? { where } : {}),
      ...(typeof hint === "string" ? { hint } : {}),
      ...(Array.isArray(candidates) ? { candidates: candidates.map(String) } : {}),
    },
  );
}
