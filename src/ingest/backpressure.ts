/**
 * How much a source may hold that is not durable and folded yet, and the refusal of a push beyond that.
 */
import { OnefoldError } from "../base/errors.ts";

const PENDING_ROWS_MAX = 200_000;
const PENDING_BYTES_MAX = 64 * 1024 * 1024;

export interface PendingLimits {
  readonly pendingRowsMax?: number;
  readonly pendingBytesMax?: number;
}

export interface Pending {
  readonly source: string;
  readonly rows: number;
  readonly bytes: number;
}

/** A push of any size is let in where nothing waits. Throws `BACKPRESSURE`. */
export function refuseBeyond(limits: PendingLimits, pending: Pending, rowCount: number): void {
  const { pendingRowsMax = PENDING_ROWS_MAX, pendingBytesMax = PENDING_BYTES_MAX } = limits;
  const tooManyRows = pending.rows > 0 && pending.rows + rowCount > pendingRowsMax;
  if (!tooManyRows && pending.bytes <= pendingBytesMax) return;
  throw new OnefoldError("BACKPRESSURE", `source ${pending.source} has ${pending.rows} rows waiting`, {
    where: pending.source,
    hint: "send again in a second, in smaller batches or less often",
  });
}
