/** Work that whoever asked for it has called off. */
import { OnefoldError } from "./errors.ts";

/** Throws `CANCELLED` once `signal` is aborted. */
export function throwIfCancelled(signal: AbortSignal | undefined, cause?: unknown): void {
  if (signal?.aborted === true) throw new OnefoldError("CANCELLED", "the work was cancelled", { cause });
}
