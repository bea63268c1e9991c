/**
 * Reads a request's body within a limit: a body past it is never held in memory, whatever its length,
 * and neither are many bodies that are too large together.
 */
import { isUtf8 } from "node:buffer";
import type { Readable } from "node:stream";
import { OnefoldError } from "../base/errors.ts";

/**
 * Bytes of bodies that were read and whose requests are not answered yet, all connections together: what
 * bounds the memory of many large requests at a time.
 */
export class BytesUnderWay {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False, and nothing is taken, where it would be too many. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** What one body may take, from the common account if there is one, until all who hold it have released it. */
export class BodyAllowance {
  readonly bytesMax: number;
  readonly #underWay: BytesUnderWay | null;
  #taken = 0;
  /** The connection; and the work on the request, which a client that goes away does not end. */
  #holders = 1;

  constructor(bytesMax: number, underWay: BytesUnderWay | null = null) {
    this.bytesMax = bytesMax;
    this.#underWay = underWay;
  }

  /** Why no more may be read, or null. */
  take(bytes: number): OnefoldError | null {
    if (this.#taken + bytes > this.bytesMax) return bodyTooLarge(this.#taken + bytes, this.bytesMax);
    const isTaken = this.#holders > 0 && (this.#underWay?.take(bytes) ?? true);
    if (!isTaken) return tooMuchUnderWay();
    this.#taken += bytes;
    return null;
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders === 0) this.giveBack();
  }

  /** For a body that was refused: nothing of it is kept. */
  giveBack(): void {
    this.#underWay?.giveBack(this.#taken);
    this.#taken = 0;
  }
}

const MEGABYTE = 1024 * 1024;
export const JSON_BYTES_MAX: number = 8 * MEGABYTE;
export const EVENTS_BYTES_MAX: number = 16 * MEGABYTE;
export const EVENTS_UNDER_WAY_BYTES_MAX: number = 64 * MEGABYTE;
/** Of bodies of all other requests. */
export const QUESTIONS_UNDER_WAY_BYTES_MAX: number = 64 * MEGABYTE;

/**
 * Of a body that is too large so much is read and thrown away: a client that is still sending when the
 * connection closes often sees only a broken pipe, and never the answer that says why.
 */
const DISCARD_BYTES_MAX = 64 * MEGABYTE;

/**
 * The body as text. Rejects with `BODY_TOO_LARGE`, `BACKPRESSURE`, `REQUEST_INVALID` where the client goes
 * away, and `JSON_INVALID` where it is not UTF-8.
 */
export async function readBody(
  stream: Readable,
  allowance: BodyAllowance,
  declaredBytes: number | undefined,
): Promise<string> {
  const tooLargeAnyway = declaredBytes !== undefined && declaredBytes > allowance.bytesMax;
  const body = tooLargeAnyway ? bodyTooLarge(declaredBytes, allowance.bytesMax) : await collect(stream, allowance);
  if (body instanceof OnefoldError) {
    allowance.giveBack();
    await discard(stream, declaredBytes);
    throw body;
  }
  return bodyText(body);
}

/** Throws `JSON_INVALID` where it is not UTF-8. */
export function bodyText(body: Buffer): string {
  if (!isUtf8(body)) throw new OnefoldError("JSON_INVALID", "the body is not UTF-8 text", { where: "body" });
  // A byte order mark is no part of the text, and not JSON either.
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.toString("utf8", 3) : body.toString("utf8");
}

/** All of the stream, or why it may not be read on. */
function collect(stream: Readable, allowance: BodyAllowance): Promise<Buffer | OnefoldError> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const settle = (body: Buffer | OnefoldError): void => {
      stream.off("data", onData).off("end", onEnd).off("error", onError);
      resolve(body);
    };
    const onData = (chunk: Buffer): void => {
      const refusal = allowance.take(chunk.length);
      if (refusal === null) chunks.push(chunk);
      else {
        stream.pause();
        // An error's stack keeps the functions it was made in, and they what they see.
        chunks.length = 0;
        settle(refusal);
      }
    };
    const onEnd = (): void => settle(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    // No failure of the server's: nobody is there to be answered.
    const onError = (cause: Error): void =>
      reject(new OnefoldError("REQUEST_INVALID", "the client went away before its body was whole", { cause }));
    stream.on("data", onData).on("end", onEnd).on("error", onError);
  });
}

/** Throws away what still comes, within reason, so that a client that is still sending reads the answer that refuses it. */
export function discard(stream: Readable, declaredBytes: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    let discarded = 0;
    const settle = (): void => {
      stream.off("data", onData).off("end", settle).off("close", settle).pause();
      // A client that goes away while it is refused is no failure of the server.
      stream.on("error", () => {});
      resolve();
    };
    const onData = (chunk: Buffer): void => {
      discarded += chunk.length;
      if (discarded > DISCARD_BYTES_MAX) settle();
    };
    if ((declaredBytes ?? 0) > DISCARD_BYTES_MAX || stream.readableEnded) return settle();
    stream.on("data", onData).on("end", settle).on("close", settle).resume();
  });
}

function tooMuchUnderWay(): OnefoldError {
  return new OnefoldError("BACKPRESSURE", "the bodies being read and taken in are too large together", {
    hint: "send again in a second, in smaller batches or fewer at a time",
  });
}

export function bodyTooLarge(bytes: number, bytesMax: number): OnefoldError {
  return new OnefoldError("BODY_TOO_LARGE", `a body of ${bytes} bytes or more; the limit is ${bytesMax}`, {
    where: "body",
    hint: `send it in parts; events as NDJSON may have ${EVENTS_BYTES_MAX} bytes, other bodies ${JSON_BYTES_MAX}`,
  });
}
