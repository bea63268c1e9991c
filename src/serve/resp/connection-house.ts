/**
 * What the connections of one door share.
 */
import type { BehindReads } from "../behind-reads.ts";
import type { BytesUnderWay } from "../request-body.ts";
import type { Door } from "./command.ts";
import type { RequestLimits } from "./request-parser.ts";

export interface ConnectionHouse {
  readonly door: Door;
  readonly limits: RequestLimits;
  readonly underWay: BytesUnderWay;
  readonly behindReads: BehindReads;
  /** A connection that has been silent for so long in the middle of something is dropped. */
  readonly stuckMillisMax: number;
  /** One of which a request has not come whole for so long, too. */
  readonly requestMillisMax: number;
  /** Requests carried out, by the command's name; those of unknown commands under an empty one. */
  readonly commandCounts: Map<string, number>;
  /** Of all commands, in an order that stays. */
  readonly commandNames: readonly string[];
  /** Told of what is the server's own fault. */
  readonly onError: (error: unknown, command: string) => void;
}
