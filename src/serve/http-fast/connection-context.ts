/**
 * What the connections of one door share, and how long they may take.
 */
import type { Socket } from "node:net";
import type { BehindReads } from "../behind-reads.ts";
import type { BytesUnderWay } from "../request-body.ts";
import type { OnServerError } from "../wire-answer.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import type { HotRoutes } from "./hot-routes.ts";

/** A connection, as its door sees it. */
export interface DoorConnection {
  /** Ends what has taken too long. */
  enforceTimeouts(): void;
  /** The door is closing: whoever has no request under way goes now, others with their answer. */
  close(): void;
}

/** What a connection needs of the door it came in by. */
export interface ConnectionContext {
  readonly routes: HotRoutes;
  readonly writer: AnswerWriter;
  readonly behindReads: BehindReads;
  readonly timeouts: ConnectionTimeouts;
  readonly onError: OnServerError;
  /** Of all connections together, those that the ordinary server has among them. */
  readonly bodyBytes: BytesUnderWay;
  /** As of the last look at the clock, about a second ago at most. */
  readonly nowMs: number;
  readonly isClosing: boolean;
  /** Lets the ordinary server take the socket as if it had just been accepted. */
  handOver(socket: Socket): void;
  /** Called once, when the connection has closed or was handed over. */
  forget(connection: DoorConnection): void;
}

/** As Node's HTTP server means them: from the first byte of a message to the end of its head, and to its own end. */
export interface ConnectionTimeouts {
  readonly headersMillis: number;
  readonly requestMillis: number;
  /** Between an answer and the next message. */
  readonly idleMillis: number;
}
