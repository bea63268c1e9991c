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
  /** What was served in place of the view's values, because what it promises of its freshness was broken. */
  readonly fallback?: "null" | "default";
}

/** What the service's transformations were fitted to. */
export interface FitRead {
  readonly version: number;
  /** SHA-256 of the fit; of a token that was decoded, as many of its first digits as the token carries. */
  readonly sha256: string;
}

export interface VectorToken {
  readonly asOf: Micros;
  /** Absent where nothing in the vector was fitted, and in tokens from before they carried it. */
  readonly fit?: FitRead;
  /** One for each view the vector read, in the order of first use. */
  readonly reads: readonly ViewRead[];
}

/** Tokens without a fit, and those with one. */
const [PLAIN, FITTED] = [1, 2];
/** Digits of a fit's hash that tell it from every other fit of its version. */
const FIT_HASH_DIGITS = 16;

/** base64url text, safe in a URL, a CSV cell or a header. */
export function encodeVectorToken({ asOf, fit, reads }: VectorToken): string {
  const packed = reads.map(({ view, epoch, lastOffset, fallback }) => {
    return fallback === undefined ? [view, epoch, lastOffset] : [view, epoch, lastOffset, fallback];
  });
  const head = fit === undefined ? [PLAIN, asOf] : [FITTED, asOf, [fit.version, fit.sha256.slice(0, FIT_HASH_DIGITS)]];
  return Buffer.from(JSON.stringify([...head, ...packed])).toString("base64url");
}

/** Throws `TOKEN_INVALID`. */
export function decodeVectorToken(text: string): VectorToken {
  try {
    const parsed = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as unknown;
    if (!Array.isArray(parsed) || !Number.isSafeInteger(parsed[1])) throw new Error("shape");
    const [format, asOf, ...rest] = parsed as [unknown, Micros, ...unknown[]];
    if (format === PLAIN) return { asOf, reads: rest.map(unpackRead) };
    if (format === FITTED) return { asOf, fit: unpackFit(rest[0]), reads: rest.slice(1).map(unpackRead) };
    throw new Error("format");
  } catch (cause) {
    throw new OnefoldError("TOKEN_INVALID", "a vector token cannot be read", {
      hint: "pass the token exactly as a response's metadata carried it",
      cause,
    });
  }
}

/** Throws a plain `Error`, as the next. */
function unpackFit(packed: unknown): FitRead {
  if (!Array.isArray(packed) || packed.length !== 2) throw new Error("fit");
  const [version, sha256] = packed as unknown[];
  const isHash = typeof sha256 === "string" && sha256.length === FIT_HASH_DIGITS && /^[\da-f]+$/.test(sha256);
  if (!isHash || !Number.isSafeInteger(version) || Number(version) < 1) throw new Error("fit");
  return { version: Number(version), sha256 };
}

function unpackRead(packed: unknown): ViewRead {
  if (!Array.isArray(packed)) throw new Error("read");
  const [view, epoch, lastOffset, fallback] = packed as unknown[];
  const offsetIsGood = lastOffset === null || Number.isSafeInteger(lastOffset);
  if (typeof view !== "string" || !Number.isSafeInteger(epoch) || !offsetIsGood) throw new Error("read");
  const read = { view, epoch: epoch as number, lastOffset: lastOffset as number | null };
  if (fallback === undefined) return read;
  if (fallback !== "null" && fallback !== "default") throw new Error("fallback");
  return { ...read, fallback };
}
