/**
 * The heads of answers, with the headers the ordinary server sends. What is the same for all answers of a second is put
 * together once.
 */
import { STATUS_CODES } from "node:http";
import type { Clock } from "../../base/clock.ts";
import { type AnswerBytes, digitsOf, writeDigits } from "../answer-bytes.ts";
import type { WireAnswer } from "../route.ts";
import { JSON_TYPE, NO_HEADERS } from "../wire-answer.ts";

/** What the head of an answer says of it. */
export type AnswerHead = Pick<WireAnswer, "status" | "headers" | "contentType">;

const USUAL: AnswerHead = Object.freeze({ status: 200, headers: NO_HEADERS, contentType: JSON_TYPE });

/** The head of most answers: all of it but the digits of their length. */
interface UsualHead {
  readonly bytes: Uint8Array;
  readonly lengthAt: number;
}

export class AnswerWriter {
  readonly #clock: Clock;
  readonly #keepAliveSeconds: number;
  /** From the line after Content-Length to the end of the head; null where the date is to be looked up again. */
  #endKeptAlive: string | null = null;
  /** By the number of digits, since the date was looked up. */
  #usual: UsualHead[] = [];

  constructor(clock: Clock, keepAliveMillis: number) {
    this.#clock = clock;
    this.#keepAliveSeconds = Math.floor(keepAliveMillis / 1000);
  }

  /** To be called about once a second: dates have that resolution. */
  nextSecond(): void {
    this.#endKeptAlive = null;
    this.#usual = [];
  }

  head({ status, headers, contentType }: AnswerHead, bodyBytes: number, isLast: boolean): string {
    let head = status === 200 ? "HTTP/1.1 200 OK\r\n" : `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    return `${head}content-type: ${contentType}\r\ncontent-length: ${bodyBytes}\r\n${this.#end(isLast)}`;
  }

  /** Puts the head before a body of JSON with status 200, which was written since `out` was so long. */
  insertHead(out: AnswerBytes, bodyAt: number, headers: AnswerHead["headers"], isLast: boolean): void {
    const bodyBytes = out.length - bodyAt;
    if (headers !== NO_HEADERS || isLast) {
      return out.insert(bodyAt, Buffer.from(this.head({ ...USUAL, headers }, bodyBytes, isLast)));
    }
    const digits = digitsOf(bodyBytes);
    const { bytes, lengthAt } = (this.#usual[digits] ??= this.#usualHead(digits));
    out.insert(bodyAt, bytes);
    writeDigits(out.block, bodyAt + lengthAt, bodyBytes, digits);
  }

  #usualHead(digits: number): UsualHead {
    const text = this.head(USUAL, 10 ** (digits - 1), false);
    const line = "content-length: ";
    return { bytes: Uint8Array.from(Buffer.from(text)), lengthAt: text.indexOf(line) + line.length };
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
