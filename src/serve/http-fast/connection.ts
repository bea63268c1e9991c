/**
 * One connection in its fast phase: reads requests of the strict subset, answers each in its turn, and gives
 * the socket with all unread bytes to the ordinary server at the first that is not of it.
 *
 * A request is handed over or answered here, never both: until its head, its body and the body's shape are
 * accepted nothing of it is consumed, and from then on it is answered here, errors too.
 *
 *     head -> body -> (busy) -> idle -> head ...      a message arrives, is worked on, is answered
 *     any of them with answers that the client does not take -> blocked -> as before
 */
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { diagnostics } from "../../base/diagnostics.ts";
import { AnswerBytes, connectionBlocks, type LentBytes } from "../answer-bytes.ts";
import { refuseBytes } from "../refuse-bytes.ts";
import type { Route, RouteAnswer, WireAnswer, WrittenAnswer } from "../route.ts";
import { SocketBytes } from "../socket-bytes.ts";
import { isWritten, NO_HEADERS, wireAnswer, wireError } from "../wire-answer.ts";
import type { ConnectionContext, DoorConnection } from "./connection-context.ts";
import { type HotHead, sameHead } from "./hot-routes.ts";
import { hotBody, NOT_VALID } from "./hot-body.ts";
import { HEAD_BYTES_MAX, mayBecomeRequestHead } from "./request-head.ts";
import { UnreadBytes } from "./unread-bytes.ts";

type Phase = "head" | "body" | "busy" | "idle" | "blocked" | "refused" | "gone";

/** Larger bodies go to the ordinary server, which keeps account of how many are under way. */
const BODY_BYTES_MAX = 256 * 1024;
/** Answers that are no longer than this together are sent behind the reads of the turn. */
const SHORT_LENGTH_MAX = 4 * 1024;
/** Of answers to requests that came together so much is put together before it is written. */
const WRITE_LENGTH_MAX = 64 * 1024;
const HEAD_END = "\r\n\r\n";
const NOTHING: Uint8Array = new Uint8Array(0);

export class FastConnection implements DoorConnection {
  readonly #socket: Socket;
  readonly #bytes: SocketBytes;
  readonly #context: ConnectionContext;
  readonly #unread: UnreadBytes;
  /** The last one, which most often comes again. */
  #head: HotHead | null = null;
  /** With fewer unread bytes than these there is no use in looking at them again. */
  #bytesWanted = 0;
  /** Answers to be written at the end of the turn. */
  readonly #out = new AnswerBytes(connectionBlocks);
  /** Whether they will be sent behind the reads of this turn. */
  #isSendDue = false;
  /** The body being answered, where its answer may be kept; nothing where `end` is -1. Its bytes are good within the turn. */
  readonly #asked = { space: 0, bytes: NOTHING, start: 0, end: -1, consumer: "" };
  #phase: Phase = "head";
  #sinceMs: number;

  constructor(socket: Socket, context: ConnectionContext) {
    this.#socket = socket;
    this.#context = context;
    this.#unread = new UnreadBytes(context.bodyBytes);
    this.#sinceMs = context.nowMs;
    this.#bytes = new SocketBytes(socket, this.#onBytes);
    socket.on("end", this.#onEnd).on("error", this.#onError);
    socket.on("drain", this.#onDrain).on("close", this.#onClose);
  }

  enforceTimeouts(): void {
    const { headersMillis, requestMillis, idleMillis } = this.#context.timeouts;
    const passed = (millisMax: number): boolean => millisMax > 0 && this.#context.nowMs - this.#sinceMs > millisMax;
    switch (this.#phase) {
      case "head":
        if (passed(headersMillis)) this.#refuse("late");
        return;
      case "body":
        if (passed(requestMillis)) this.#refuse("late");
        return;
      case "idle":
        if (passed(idleMillis)) this.#socket.destroy();
        return;
      case "blocked":
        if (passed(requestMillis)) this.#socket.destroy();
        return;
      case "busy":
      case "refused":
      case "gone":
    }
  }

  close(): void {
    if (this.#phase !== "idle" && this.#phase !== "head") return;
    this.#flush();
    this.#socket.destroySoon();
  }

  readonly #onBytes = (chunk: Buffer, length: number): void => {
    // The last answer is on its way: what comes behind it has none.
    if (this.#socket.writableEnded) return;
    if (this.#unread.length === 0 && this.#isReading()) return this.#read(chunk, length);
    const bytes = this.#unread.with(chunk.subarray(0, length));
    // While something is worked on it waits until that is over, and nothing more is read: most clients send nothing then, and to
    // stop reading for each request would cost as much as to answer it.
    if (!this.#isReading()) {
      this.#unread.keepFrom(bytes, 0);
      this.#socket.pause();
    } else if (bytes.length >= this.#bytesWanted || this.#unread.isTooMuch) this.#read(bytes, bytes.length);
  };

  readonly #onDrain = (): void => {
    if (this.#phase === "blocked") this.#goOn();
  };

  /**
   * The client has said all it will. As with the ordinary server, what is half a message is none; but what
   * was under way is still answered, and this comes again after it.
   */
  readonly #onEnd = (): void => {
    if (!this.#isReading()) return;
    this.#flush();
    if (this.#unread.length > 0) this.#refuse("malformed");
    else this.#socket.end();
  };

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#unread.drop();
    this.#context.forget(this);
  };

  /** After a pause, with what had come before it. */
  #goOn(): void {
    this.#enter(this.#unread.length > 0 ? "head" : "idle");
    // Where the client does not take what it was answered, it is answered no more.
    this.#flush();
    if (this.#context.isClosing || this.#socket.destroyed || !this.#isReading()) return;
    const unread = this.#unread.all();
    this.#read(unread, unread.length);
    if (!this.#isReading()) return;
    if (this.#socket.readableEnded) this.#onEnd();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #isReading(): boolean {
    return this.#phase === "head" || this.#phase === "body" || this.#phase === "idle";
  }

  #read(bytes: Buffer, length: number): void {
    try {
      this.#readRequests(bytes, length);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A fault of this door ends the connection it happened on, and no other. */
  #fail(error: unknown): void {
    this.#context.onError(error, "connection");
    this.#socket.destroy();
  }

  /** Answers all whole requests in `bytes[0, length)`; what follows them is kept, or handed over. */
  #readRequests(bytes: Buffer, length: number): void {
    let start = 0;
    this.#bytesWanted = 0;
    while (start < length) {
      let head = sameHead(this.#head, bytes, start, length);
      let bodyStart = start + (head?.bytes.length ?? 0);
      if (head === null) {
        const begun = bytes.toString("latin1", start, Math.min(length, start + HEAD_BYTES_MAX + 1));
        const headEnd = begun.indexOf(HEAD_END);
        if (headEnd < 0) {
          if (begun.length > HEAD_BYTES_MAX || !mayBecomeRequestHead(begun))
            return this.#handOver(bytes, start, length);
          this.#await("head");
          break;
        }
        const headBytes = headEnd + HEAD_END.length;
        bodyStart = start + headBytes;
        head = headBytes > HEAD_BYTES_MAX ? null : this.#context.routes.find(begun.slice(0, headBytes));
        if (head === null || head.bodyBytes > BODY_BYTES_MAX) return this.#handOver(bytes, start, length);
        this.#head = head.bytes.length === 0 ? null : head;
      }
      const end = bodyStart + head.bodyBytes;
      if (end > length) {
        this.#bytesWanted = end - start;
        this.#await("body");
        break;
      }
      if (this.#repeat(head, bytes, bodyStart, end)) {
        start = end;
        this.#enter(start < length ? "head" : "idle");
        if (!this.#mayAnswerMore()) break;
        continue;
      }
      const body = hotBody(head.hot, bytes, bodyStart, end);
      if (body === NOT_VALID) return this.#handOver(bytes, start, length);
      start = end;
      this.#enter(start < length ? "head" : "idle");
      this.#answer(head, body);
      if (!this.#mayAnswerMore()) break;
    }
    // What came is not held while the client is silent.
    this.#asked.bytes = NOTHING;
    if (start < length || this.#unread.length > 0) {
      this.#unread.keepFrom(length === bytes.length ? bytes : bytes.subarray(0, length), start);
      // The ordinary server refuses it as it should be.
      if (this.#unread.isTooMuch && this.#phase === "body") {
        const unread = this.#unread.all();
        return this.#handOver(unread, 0, unread.length);
      }
    }
    const { isClosing, behindReads } = this.#context;
    const isLong = this.#out.length > SHORT_LENGTH_MAX;
    if (!this.#isReading() || isLong || isClosing) this.#flush();
    else if (this.#out.length > 0 && !this.#isSendDue) {
      this.#isSendDue = true;
      behindReads.add(this);
    }
    if (isLong) behindReads.sendWaiting();
  }

  sendNow(): void {
    this.#isSendDue = false;
    if (this.#phase !== "gone" && this.#phase !== "refused") this.#flush();
  }

  /** Whether the next request may be answered in this turn. */
  #mayAnswerMore(): boolean {
    if (this.#out.length > WRITE_LENGTH_MAX || this.#socket.writableNeedDrain) {
      this.#flush();
      this.#context.behindReads.sendWaiting();
    }
    return this.#phase !== "busy" && this.#phase !== "blocked" && !this.#socket.destroyed && !this.#context.isClosing;
  }

  /** Answers the request if the same was answered before, and what was said still stands. Its bytes remain for `keep`. */
  #repeat(head: HotHead, bytes: Uint8Array, start: number, end: number): boolean {
    const { route } = head.hot;
    const asked = this.#asked;
    asked.end = -1;
    const space = head.meaning?.space ?? 0;
    if (route.repeat === undefined || space === 0) return false;
    asked.space = space;
    asked.bytes = bytes;
    asked.start = start;
    asked.end = end;
    asked.consumer = head.consumer;
    const startMs = performance.now();
    const answer = route.repeat(asked, startMs);
    if (answer === null) return false;
    this.#write(head, startMs, answer);
    return true;
  }

  #answer(head: HotHead, body: unknown): void {
    const { route } = head.hot;
    const startMs = diagnostics.answered.hasSubscribers ? performance.now() : 0;
    let answer: RouteAnswer | Promise<RouteAnswer>;
    try {
      const asked = this.#asked.end >= 0 ? this.#asked : undefined;
      answer = route.handle({ params: head.params, query: head.query, body, consumer: head.consumer, asked });
    } catch (thrown) {
      return this.#put(route, startMs, this.#errorAnswer(head, thrown));
    }
    if (isWritten(answer)) return this.#write(head, startMs, answer);
    if (!(answer instanceof Promise)) return this.#put(route, startMs, this.#serialize(head, answer));
    this.#enter("busy");
    void answer
      .then(
        (settled) => this.#serialize(head, settled),
        (thrown: unknown) => this.#errorAnswer(head, thrown),
      )
      .then((wired) => {
        this.#put(route, startMs, wired);
        this.#goOn();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #serialize(head: HotHead, answer: RouteAnswer): WireAnswer {
    try {
      return wireAnswer(answer);
    } catch (thrown) {
      return this.#errorAnswer(head, thrown);
    }
  }

  #errorAnswer(head: HotHead, thrown: unknown): WireAnswer {
    return wireError(thrown, this.#context.onError, `${head.hot.route.method} ${head.path}`);
  }

  /** Puts an answer that writes itself, or why it could not, and keeps it where it may be. */
  #write(head: HotHead, startMs: number, answer: WrittenAnswer): void {
    const { route } = head.hot;
    const out = this.#out;
    const { writer, isClosing } = this.#context;
    const from = out.length;
    try {
      answer.writeJson(out);
    } catch (thrown) {
      out.cut(from);
      return this.#put(route, startMs, this.#errorAnswer(head, thrown));
    }
    if (this.#asked.end >= 0) answer.keep?.(this.#asked);
    writer.insertHead(out, from, answer.headers ?? NO_HEADERS, isClosing);
    tell(route, startMs, answer.status, null);
  }

  #put(route: Route, startMs: number, answer: WireAnswer): void {
    const { text, encoded } = answer;
    const { writer, isClosing, behindReads } = this.#context;
    const bodyBytes = encoded?.bytes.length ?? Buffer.byteLength(text);
    this.#out.text(writer.head(answer, bodyBytes, isClosing));
    if (encoded === undefined) this.#out.text(text);
    else {
      this.#sendWith(encoded);
      if (bodyBytes > SHORT_LENGTH_MAX) behindReads.sendWaiting();
    }
    tell(route, startMs, answer.status, answer.code);
  }

  /** Writes the answers put together so far: once for all that came together, for a write costs more than most answers. */
  #flush(): void {
    const socket = this.#socket;
    this.#out.sendTo(this.#bytes);
    // More than the kernel takes: nothing more is read, so nothing more is answered, until it has gone.
    if (socket.writableNeedDrain && socket.writableLength > 0 && this.#phase !== "busy") {
      this.#enter("blocked");
      socket.pause();
    }
    const mayGo = this.#context.isClosing && this.#phase !== "busy" && this.#phase !== "body";
    if (mayGo && !socket.writableEnded) socket.destroySoon();
  }

  /** What was put together so far, and these bytes behind it, in one go. */
  #sendWith(behind: LentBytes): void {
    const socket = this.#socket;
    const before = this.#out.lend();
    socket.cork();
    socket.write(before.bytes);
    socket.write(behind.bytes);
    socket.uncork();
    // Else what the kernel did not take is still to be sent from there.
    if (socket.writableLength > 0) return;
    before.giveBack();
    behind.giveBack();
  }

  #handOver(bytes: Buffer, start: number, end: number): void {
    // A copy: what was received is good for this turn alone.
    const left = Buffer.from(bytes.subarray(start, end));
    this.#unread.drop();
    this.#flush();
    const socket = this.#socket;
    // Closing, what is not under way yet is not begun. Nor can a socket that has ended be taken over.
    if (socket.destroyed || socket.readableEnded || this.#context.isClosing) return socket.destroySoon();
    this.#bytes.release();
    socket.off("end", this.#onEnd).off("error", this.#onError);
    socket.off("drain", this.#onDrain).off("close", this.#onClose);
    this.#enter("gone");
    this.#context.forget(this);
    socket.pause();
    this.#context.handOver(socket);
    socket.unshift(left);
    socket.resume();
  }

  #refuse(why: "malformed" | "late"): void {
    this.#enter("refused");
    this.#unread.drop();
    this.#bytes.release();
    this.#socket.off("end", this.#onEnd).resume();
    refuseBytes(this.#socket, why);
  }

  /** For the rest of a message, whose time runs from its first byte. */
  #await(phase: "head" | "body"): void {
    if (this.#phase === "idle") this.#enter(phase);
    else this.#phase = phase;
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#sinceMs = this.#context.nowMs;
  }
}

function tell({ method, path }: Route, startMs: number, status: number, code: WireAnswer["code"]): void {
  if (!diagnostics.answered.hasSubscribers) return;
  diagnostics.answered.publish({ method, route: path, status, code, durationMs: performance.now() - startMs });
}
