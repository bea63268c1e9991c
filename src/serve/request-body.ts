/**
 * Reads a request's body within a limit: a body past it is never held in memory, whatever its length.
 */
import { isUtf8 } from "node:buffer";
import { type Readable } from "node:stream";
import { OnefoldError } from "../base/errors.ts";

const MEGABYTE = 1024 * 1024;
export const JSON_BYTES_MAX: number = 8 * MEGABYTE;
export const EVENTS_BYTES_MAX: number = 16 * MEGABYTE;

/**
 * Of a body that is too large so much is read and thrown away: a client that is still sending when the
 * connection closes often sees only a broken pipe, and never the answer that says why.
 */
const DISCARD_BYTES_MAX = 64 * MEGABYTE;

/** The body as text. Throws `BODY_TOO_LARGE`, and `JSON_INVALID` where it is not UTF-8. */
export async function readBody(stream: Readable, bytesMax: number, declaredBytes: number | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  if (declaredBytes === undefined || declaredBytes <= DISCARD_BYTES_MAX) {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= bytesMax && (declaredBytes ?? 0) <= bytesMax) chunks.push(chunk);
      else chunks.length = 0;
      if (bytes > DISCARD_BYTES_MAX) break;
    }
  }
  const total = Math.max(bytes, declaredBytes ?? 0);
  if (total > bytesMax) throw bodyTooLarge(total, bytesMax);
  const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
  if (!isUtf8(body)) throw new OnefoldError("JSON_INVALID", "the body is not UTF-8 text", { where: "body" });
  // A byte order mark is no part of the text, and not JSON either.
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.toString("utf8", 3) : body.toString("utf8");
}

export function bodyTooLarge(bytes: number, bytesMax: number): OnefoldError {
  return new OnefoldError("BODY_TOO_LARGE", `a body of ${bytes} bytes or more, where ${bytesMax} are the limit`, {
    where: "body",
    hint: `send it in parts; events as NDJSON may have ${EVENTS_BYTES_MAX} bytes, other bodies ${JSON_BYTES_MAX}`,
  });
}
