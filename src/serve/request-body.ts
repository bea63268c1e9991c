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

/** The body as text. Rejects with `BODY_TOO_LARGE`, and `JSON_INVALID` where it is not UTF-8. */
export async function readBody(stream: Readable, bytesMax: number, declaredBytes: number | undefined): Promise<string> {
  const tooLargeAnyway = declaredBytes !== undefined && declaredBytes > bytesMax;
  const body = tooLargeAnyway ? null : await collect(stream, bytesMax);
  if (body === null) throw await refuseLarge(stream, bytesMax, declaredBytes);
  if (!isUtf8(body)) throw new OnefoldError("JSON_INVALID", "the body is not UTF-8 text", { where: "body" });
  // A byte order mark is no part of the text, and not JSON either.
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.toString("utf8", 3) : body.toString("utf8");
}

/** All of the stream, or null as soon as it is longer than `bytesMax`. */
function collect(stream: Readable, bytesMax: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (body: Buffer | null): void => {
      stream.off("data", onData).off("end", onEnd).off("error", reject);
      resolve(body);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else {
        stream.pause();
        settle(null);
      }
    };
    const onEnd = (): void => settle(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes));
    stream.on("data", onData).on("end", onEnd).on("error", reject);
  });
}

/** Throws away what still comes, within reason, and gives the error that says why. */
function refuseLarge(stream: Readable, bytesMax: number, declaredBytes: number | undefined): Promise<OnefoldError> {
  return new Promise((resolve) => {
    let discarded = 0;
    const settle = (): void => {
      stream.off("data", onData).off("end", settle).off("close", settle).pause();
      // A client that goes away while it is refused is no failure of the server.
      stream.on("error", () => {});
      resolve(bodyTooLarge(Math.max(bytesMax + 1, declaredBytes ?? 0), bytesMax));
    };
    const onData = (chunk: Buffer): void => {
      discarded += chunk.length;
      if (discarded > DISCARD_BYTES_MAX) settle();
    };
    if ((declaredBytes ?? 0) > DISCARD_BYTES_MAX || stream.readableEnded) return settle();
    stream.on("data", onData).on("end", settle).on("close", settle).resume();
  });
}

export function bodyTooLarge(bytes: number, bytesMax: number): OnefoldError {
  return new OnefoldError("BODY_TOO_LARGE", `a body of ${bytes} bytes or more; the limit is ${bytesMax}`, {
    where: "body",
    hint: `send it in parts; events as NDJSON may have ${EVENTS_BYTES_MAX} bytes, other bodies ${JSON_BYTES_MAX}`,
  });
}
