/**
 * Refuses what never became a request: bytes that are not HTTP, and those that came too slowly. There is no
 * reply object then, so the answer is written to the bare socket.
 */
import { type IncomingMessage, maxHeaderSize, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { OnefoldError } from "../base/errors.ts";
import { whenOver } from "./exchange-end.ts";

/** A client that neither takes its answer nor hangs up is cut off. */
const CUT_OFF_MILLIS = 10_000;

type Refusal = "malformed" | "late" | "long head";

const REFUSALS: Readonly<Record<Refusal, readonly [status: string, what: string]>> = {
  malformed: ["400 Bad Request", "the bytes received are not an HTTP/1.1 request"],
  late: ["408 Request Timeout", "the request did not arrive in time"],
  "long head": [
    "431 Request Header Fields Too Large",
    `the request's line and headers are longer than ${maxHeaderSize} bytes`,
  ],
};

/** The connection ends with the answer, after those that are still on their way. */
export function refuseBytes(socket: Socket, why: Refusal): void {
  const [status, what] = REFUSALS[why];
  const body = JSON.stringify({ error: new OnefoldError("REQUEST_INVALID", what) });
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  const cutOff = setTimeout(() => socket.destroy(), CUT_OFF_MILLIS).unref();
  socket.once("close", () => clearTimeout(cutOff));
}

/** Each is told to go once: telling it again would add a listener each time. */
const leaving = new WeakSet<Socket>();

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Of each connection: requests that are not answered yet. */
const underWay = new WeakMap<Socket, Set<Exchange>>();
/** Connections that are refused once they are answered. */
const waiting = new WeakSet<Socket>();

/** To be told of each request that `node:http` has read the head of. */
export function noteRequest(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const exchanges = underWay.get(socket) ?? new Set();
  underWay.set(socket, exchanges);
  const exchange = { request, response };
  exchanges.add(exchange);
  whenOver(socket, response, () => exchanges.delete(exchange));
}

/**
 * For what `node:http` cannot parse, or did not get in time. It comes again with each chunk that follows. Whole requests
 * that came before such bytes are answered first: a push among them may have been taken in.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (waiting.has(socket)) return;
  const exchange = error.code?.startsWith("HPE_") === true ? firstWhole(socket) : undefined;
  if (exchange !== undefined) {
    waiting.add(socket);
    exchange.response.once("close", () => {
      waiting.delete(socket);
      answerClientError(error, socket);
    });
  } else if (error.code === "ECONNRESET") socket.destroy();
  else if (socket.writable) refuseBytes(socket, refusalOf(error));
  // Refused already: what was written is still sent, and nothing more is listened to.
  else if (!leaving.has(socket)) {
    leaving.add(socket);
    socket.destroySoon();
  }
}

function refusalOf({ code }: NodeJS.ErrnoException): Refusal {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "late";
  return code === "HPE_HEADER_OVERFLOW" ? "long head" : "malformed";
}

function firstWhole(socket: Socket): Exchange | undefined {
  for (const exchange of underWay.get(socket) ?? []) if (exchange.request.complete) return exchange;
  return undefined;
}
