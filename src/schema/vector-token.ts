/**
 * A vector's token: all that is needed to compute the very same vector again from the log.
 */
import type { Micros } from "../base/micros.ts";
import { OnefoldError } from "../base/errors.ts";

export interface ViewRead {
  /** `view@version`. */
  readonly view: string;
  /** Epoch of the view's source when it was read. */
  readonly epoch: number;
  /** Offset of the last event folded for the entity, or null where it was unseen. */
  readonly lastOffset: number | null;
}

export interface VectorToken {
  readonly asOf: Micros;
  /** One for each view the vector read, in the order of first use. */
  readonly reads: readonly ViewRead[];
}

/** base64url text, safe in a URL, a CSV cell or a header. */
export function encodeVectorToken(token: VectorToken): string {
  const reads = token.reads.map((read) => [read.view, read.epoch, read.lastOffset]);
  return Buffer.from(JSON.stringify([1, token.asOf, ...reads])).toString("base64url");
}

/** Throws `TOKEN_INVALID`. */
export function decodeVectorToken(text: string): VectorToken {
  try {
    const parsed = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as unknown;
    if (!Array.isArray(parsed) || parsed[0] !== 1 || !Number.isSafeInteger(parsed[1])) throw new Error("shape");
    const reads = parsed.slice(2).map((read: unknown): ViewRead => {
      if (!Array.isArray(read)) throw new Error("shape");
      const [view, epoch, lastOffset] = read as unknown[];
      const offsetIsGood = lastOffset === null || Number.isSafeInteger(lastOffset);
      if (typeof view !== "string" || !Number.isSafeInteger(epoch) || !offsetIsGood) throw new Error("shape");
      return { view, epoch: epoch as number, lastOffset: lastOffset as number | null };
    });
    return { asOf: parsed[1] as Micros, reads };
  } catch (cause) {
    throw new OnefoldError("TOKEN_INVALID", "a vector token cannot be read", {
      hint: "pass the token exactly as a response's metadata carried it",
      cause,
    });
  }
}
