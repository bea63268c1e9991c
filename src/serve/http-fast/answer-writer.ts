/**
 * An answer as the text that goes over the wire, with the headers the ordinary server sends. What is the
 * same for all answers of a second is put together once.
 */
import { STATUS_CODES } from "node:http";
import type { Clock } from "../../base/clock.ts";
import type { WireAnswer } from "../route.ts";

export class AnswerWriter {
  readonly #clock: Clock;
  readonly #keepAliveSeconds: number;
  /** From the line after Content-Length to the end of the head; null where the date is to be looked up again. */
  #endKeptAlive: string | null = null;

  constructor(clock: Clock, keepAliveMillis: number) {
    this.#clock = clock;
    this.#keepAliveSeconds = Math.floor(keepAliveMillis / 1000);
  }

  /** To be called about once a second: dates have that resolution. */
  nextSecond(): void {
    this.#endKeptAlive = null;
  }

  /** Head and body. `bodyBytes` is the body's length in UTF-8. */
  write(answer: WireAnswer, bodyBytes: number, isLast: boolean): string {
    const { status, headers, contentType, text } = answer;
    let head = status === 200 ? "HTTP/1.1 200 OK\r\n" : `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    return `${head}content-type: ${contentType}\r\ncontent-length: ${bodyBytes}\r\n${this.#end(isLast)}${text}`;
  }

  #end(isLast: boolean): string {
    if (isLast) return `connection: close\r\n${this.#date()}\r\n\r\n`;
    this.#endKeptAlive ??=
      `${this.#date()}\r\nConnection: keep-alive\r\n` +
      (this.#keepAliveSeconds > 0 ? `Keep-Alive: timeout=${this.#keepAliveSeconds}\r\n\r\n` : "\r\n");
    return this.#endKeptAlive;
  }

  #date(): string {
    return `Date: ${new Date(this.#clock.now() / 1000).toUTCString()}`;
  }
}
