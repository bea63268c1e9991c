import { OnefoldError } from "./errors.ts";

/** States what the code around it relies on. A failure is a defect of the platform, never of its input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new OnefoldError("INTERNAL", `assertion failed: ${message}`);
}
