/**
 * Refuses what never became a request: bytes that are not HTTP, and those that came too slowly. There is no
 * reply object then, so the answer is written to the bare socket.
 */
import type { Socket } from "node:net";
import { OnefoldError } from "../base/errors.ts";

/** The connection ends with the answer. */
export function refuseBytes(socket: Socket, why: "malformed" | "late"): void {
  const status = why === "late" ? "408 Request Timeout" : "400 Bad Request";
  const what = why === "late" ? "the request did not arrive in time" : "the bytes received are not an HTTP/1.1 request";
  const body = JSON.stringify({ error: new OnefoldError("REQUEST_INVALID", what) });
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
