/**
 * A connection of a load: one HTTP request at a time, whose answer is read into a buffer that all answers share and is looked
 * at there, so that asking makes next to no garbage.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");
/** All answers are read into it, one at a time. */
const READ_BUFFER: Buffer = Buffer.allocUnsafeSlow(256 * 1024);
const NO_BYTES: Buffer = Buffer.alloc(0);

export interface AnswerListener<T> {
  /** `body` is of an answer that is kept; `answerBytes` are those of the answer, with its head. */
  answered(connection: LoadConnection<T>, sent: T, body: Buffer, answerBytes: number): void;
  failed(error: Error): void;
  /** The server closed it while it was asked nothing, as it may: it is of no more use. */
  closed?(connection: LoadConnection<T>): void;
}

/** One request at a time. */
export class LoadConnection<T> {
  readonly #socket: Socket;
  readonly #listener: AnswerListener<T>;
  /** By `performance.now()`, of the last answer; 0 before. */
  answeredAtMs = 0;
  #sent: { readonly what: T; readonly isKept: boolean } | null = null;
  /** What came of an answer's head, as long as that is not whole; all that came of an answer that is kept. */
  #bytes: Buffer[] = [];
  #received = 0;
  /** Of the whole answer, once its head is there; else infinite. */
  #expected: number = Number.POSITIVE_INFINITY;
  #bodyStart = 0;

  private constructor(port: number, listener: AnswerListener<T>) {
    this.#listener = listener;
    const callback = (length: number, buffer: Uint8Array): boolean => {
      this.#hear(Buffer.from(buffer.buffer, buffer.byteOffset, length));
      return true;
    };
    const onread = { buffer: READ_BUFFER, callback };
    this.#socket = connect({ port, host: "127.0.0.1", onread }).setNoDelay(true);
    this.#socket.on("error", (error) => listener.failed(error));
    this.#socket.on("close", () => {
      if (this.#sent !== null) listener.failed(new Error("the server closed a connection that was asked something"));
      else listener.closed?.(this);
    });
  }

  static async open<T>(port: number, listener: AnswerListener<T>): Promise<LoadConnection<T>> {
    const connection = new LoadConnection(port, listener);
    await once(connection.#socket, "connect");
    return connection;
  }

  /** What the answer comes with is `sent`; its body is kept or not. */
  post(path: string, body: string, sent: T, isKept: boolean): void {
    this.#sent = { what: sent, isKept };
    if (this.#socket.destroyed) {
      // It would be waited for in vain.
      this.#listener.failed(new Error("a connection that was closed is asked something"));
      return;
    }
    const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
    this.#socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  /** Whatever it still waits for. Its listener hears nothing more. */
  close(): void {
    this.#sent = null;
    this.#socket.removeAllListeners("close").destroy();
  }

  /** `bytes` are good until the next are read. */
  #hear(bytes: Buffer): void {
    const sent = this.#sent!;
    const isHeadRead = this.#expected !== Number.POSITIVE_INFINITY;
    this.#received += bytes.length;
    if (sent.isKept || !isHeadRead) this.#bytes.push(bytes);
    if (!isHeadRead) this.#readHead();
    if (this.#received >= this.#expected) {
      this.answeredAtMs = performance.now();
      const whole = sent.isKept ? Buffer.concat(this.#bytes) : NO_BYTES;
      const bodyStart = this.#bodyStart;
      const answerBytes = this.#expected;
      this.#sent = null;
      this.#bytes = [];
      this.#received = 0;
      this.#expected = Number.POSITIVE_INFINITY;
      this.#listener.answered(this, sent.what, whole.subarray(bodyStart), answerBytes);
    } else if (this.#bytes.length > 0) this.#bytes[this.#bytes.length - 1] = Buffer.from(bytes);
  }

  #readHead(): void {
    const bytes = this.#bytes.length === 1 ? this.#bytes[0]! : Buffer.concat(this.#bytes);
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = bytes.toString("latin1", 0, headEnd);
    const length = /content-length: (\d+)/i.exec(head)?.[1];
    if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
      this.#listener.failed(new Error(`an answer that is none: ${bytes.toString("utf8", 0, 400)}`));
      return;
    }
    this.#bodyStart = headEnd + HEAD_END.length;
    this.#expected = this.#bodyStart + Number(length);
    if (!this.#sent!.isKept) this.#bytes = [];
  }
}
