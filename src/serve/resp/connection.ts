/**
 * One connection: carries out its requests in order, and writes all replies to a chunk of input at once.
 *
 * While something is waited for (a push, a client that does not read its replies) nothing more is read from the
 * socket: what a connection may hold is a chunk of input, a request within the limits and one reply.
 */
import type { Socket } from "node:net";
import { diagnostics } from "../../base/diagnostics.ts";
import { SocketBytes } from "../socket-bytes.ts";
import { AnsweredBefore } from "./answered-before.ts";
import type { Call, Command, Session, WriteReply } from "./command.ts";
import type { ConnectionHouse } from "./connection-house.ts";
import { errorLine, type ErrorReply, errorReply } from "./error-reply.ts";
import { type Refusal, refusalOf } from "./refusal.ts";
import { ReplyWriter } from "./reply-writer.ts";
import { shownError } from "../shown-error.ts";
import { ProtocolError, type Request, RequestParser, type RequestLimits } from "./request-parser.ts";
import { NAME_LENGTH_MAX } from "./unknown-command.ts";

/** Replies that are no longer than this together are sent behind the reads of the turn. */
const SHORT_BYTES_MAX = 4 * 1024;
/** Replies are sent once so much of them is there, though there are more requests. */
const FLUSH_BYTES = 256 * 1024;
/** Calls of one connection that are begun at a time. */
const BEGUN_MAX = 1000;
/** As Redis has it for those who have not given the password. */
const STRANGER_LIMITS: RequestLimits = { inlineBytesMax: 1024, argumentsMax: 10, requestBytesMax: 16 * 1024 };
/** How long a connection that ends may take to read what was sent, and to end from its side. */
const LINGER_MILLIS = 5000;
/** Done, or to be waited for. */
type Work = Promise<void> | void;

interface BegunCall {
  readonly heldBytes: number;
  /** Never rejects: an error is a reply, too. */
  readonly reply: Promise<WriteReply>;
}

export class Connection {
  readonly session: Session;
  readonly #house: ConnectionHouse;
  readonly #socket: Socket;
  readonly #bytes: SocketBytes;
  readonly #parser: RequestParser;
  readonly #out: ReplyWriter;
  readonly #call: Call;
  readonly #before: AnsweredBefore;
  #begun: BegunCall[] = [];
  #isRunning = false;
  /** Whether replies will be sent behind the reads of this turn. */
  #isSendDue = false;
  /** No more input is taken: the client has ended it, or the door closes. */
  #isInputOver = false;
  /** Nothing more is carried out or sent. */
  #isOver = false;
  /** Whether it is dropped once it is silent for long. */
  #isTimed = false;
  /** Of a request that is not whole: how many were before it, and when it began. */
  #partial: { readonly behind: number; readonly sinceMs: number } | null = null;
  /** Whether states are fetched before they are read. */
  readonly #isFetching: boolean;

  /** The socket must be open to both sides until each has ended its own (`allowHalfOpen`). */
  constructor(socket: Socket, id: number, house: ConnectionHouse) {
    this.#socket = socket;
    this.#house = house;
    this.#isFetching = house.door.reader.fetch !== null;
    this.#parser = new RequestParser(house.limits, house.underWay);
    this.#out = new ReplyWriter();
    this.session = { id, isAuthenticated: house.door.password === null, name: "", isEnding: false };
    this.#before = new AnsweredBefore(house, this.session, this.#parser, this.#out);
    this.#call = {
      door: house.door,
      session: this.session,
      out: this.#out,
      fail: (error, command) => this.#fail(error, command),
      failAsJson: (error, command) => {
        this.#tell(error, command);
        this.#out.text(JSON.stringify({ error: shownError(error, "command") }));
      },
      keep: (plan, keys, command) => this.#before.keep(plan, keys, command),
      copyAsked: () => this.#before.copy(),
      keepLater: (asked, from, of, command) => this.#before.keepAs(asked, from, of, command),
      pause: async () => {
        socket.pause();
        this.#sendAhead();
        if (this.#isBlocked()) await this.#drained();
      },
    };
    this.#bytes = new SocketBytes(socket, this.#onBytes);
    socket.on("end", () => this.finish());
    socket.on("timeout", () => this.#dropIfStuck());
    socket.on("close", () => {
      this.#isOver = true;
      if (!this.#isRunning) this.#parser.dispose();
    });
    this.#timeIfStuck();
  }

  /** Bytes are good for the call alone. */
  readonly #onBytes = (bytes: Buffer, length: number): void => {
    if (this.#isOver) return;
    this.#parser.write(bytes, length);
    // What is waited for goes on alone: nothing more is read until it is there.
    if (this.#isRunning) this.#socket.pause();
    else if (!this.#answerAsBefore()) void this.#run();
    this.#letGo();
  };

  /** Of what came, and was not carried out, a copy is kept. */
  #letGo(): void {
    this.#before.forget();
    this.#parser.keep();
    if (this.#isOver) return;
    this.#timeIfStuck();
    this.#dropIfSlow();
  }

  /** Takes no more input, and ends once all that came in is answered. */
  finish(): void {
    this.#isInputOver = true;
    if (this.#isRunning) this.#socket.pause();
    else this.#end();
  }

  destroy(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  /** Whether all that came is requests that were answered before, and their answers are on their way. */
  #answerAsBefore(): boolean {
    if (!this.session.isAuthenticated || this.#isInputOver || this.session.isEnding) return false;
    try {
      while (this.#out.length <= SHORT_BYTES_MAX && this.#before.answerNext());
    } catch (error) {
      // A defect: it ends this connection, and no other.
      this.#house.onError(error, "");
      this.#end();
      return true;
    }
    if (this.#parser.isPartial || !this.#mayBeSentLater()) return false;
    this.#sendLater();
    return true;
  }

  /**
   * Carries out all whole requests that are there. What takes no while is done when this returns, and not a turn
   * later: the next chunk may come within this one, and must find the connection free.
   */
  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (!this.#isOver && !this.session.isEnding) {
        if (this.session.isAuthenticated && this.#begun.length === 0) {
          if (this.#before.answerNext()) {
            if (this.#out.length > FLUSH_BYTES) await this.#call.pause();
            continue;
          }
          // Those behind one whose states are fetched wait with it, and their answers may be kept as well.
        } else if (this.session.isAuthenticated && this.#isFetching) this.#before.locateNext();
        else this.#before.forget();
        const request = this.#parser.next(this.session.isAuthenticated ? this.#house.limits : STRANGER_LIMITS);
        if (request !== null) {
          const work = this.#carryOut(request);
          if (work !== undefined) {
            // What comes meanwhile waits with the system, and not here, beyond what all connections may hold.
            this.#socket.pause();
            await work;
          }
          if (this.#out.length > FLUSH_BYTES) await this.#call.pause();
        } else if (this.#begun.length > 0) {
          await this.#answerBegun();
        } else {
          if (this.#mayBeSentLater()) break;
          this.#sendAhead();
          if (!this.#isBlocked()) break;
          await this.#call.pause();
        }
      }
      if (this.#begun.length > 0) await this.#answerBegun();
    } catch (error) {
      if (this.#begun.length > 0) await this.#answerBegun();
      if (error instanceof ProtocolError) this.#out.raw(errorLine("ERR", `Protocol error: ${error.message}`));
      // A defect, and a reply may be half written: nothing can follow it.
      else this.#house.onError(error, "");
      this.session.isEnding = true;
    }
    this.#isRunning = false;
    if (this.#mayBeSentLater()) this.#sendLater();
    else this.#sendAhead();
    if (this.#isOver) this.#parser.dispose();
    else if (this.session.isEnding || this.#isInputOver) this.#end();
    else if (this.#socket.isPaused()) this.#socket.resume();
    // The time may be over that was set before: what is half there from now on is timed from here.
    if (this.#mayBeStuck()) this.#isTimed = false;
    this.#letGo();
  }

  /** Begins the request, or answers it once all that was begun before is answered. A promise where that takes a while. */
  #carryOut(request: Request): Work {
    const { args } = request;
    const name = args[0] === undefined ? "" : this.#nameOf(args[0]);
    const command = this.#house.door.commands.get(name);
    const refusal = refusalOf(request, command, this.session, this.#house);
    if (refusal === null && this.#isFetching && this.#begun.length === 0 && this.#isAnsweredHere(command!, request))
      return;
    const begin = command?.begin ?? (this.#isFetching ? command?.beginFetching : undefined);
    if (refusal === null && begin !== undefined) return this.#beginCall(begin, request, name);
    if (this.#begun.length === 0) return this.#answerOrRefuse(refusal, command, request, name);
    return this.#behindBegun(refusal, command, request, name);
  }

  #beginCall(begin: NonNullable<Command["begin"]>, { args, heldBytes }: Request, name: string): Work {
    const push = (): void => {
      const reply = begin(args, this.#call).catch((error: unknown) => () => this.#fail(error, name));
      this.#begun.push({ reply, heldBytes });
    };
    return this.#begun.length < BEGUN_MAX ? push() : this.#answerBegun().then(push);
  }

  /** By itself: what a function hands to others is allocated as it is entered, also where it does not come to that. */
  async #behindBegun(why: Refusal | null, command: Command | undefined, request: Request, name: string): Promise<void> {
    await this.#answerBegun();
    await this.#answerOrRefuse(why, command, request, name);
  }

  #answerOrRefuse(why: Refusal | null, command: Command | undefined, request: Request, name: string): Work {
    if (why === null) return this.#answer(command!, request);
    this.#giveBack(request.heldBytes);
    if (why === "cut off") this.destroy();
    else this.#fail(why, name);
  }

  #isAnsweredHere({ name, runHere }: Command, { args, heldBytes }: Request): boolean {
    try {
      if (runHere === undefined || !runHere(args, this.#call)) return false;
    } catch (error) {
      this.#fail(error, name);
    }
    this.#giveBack(heldBytes);
    return true;
  }

  #answer(command: Command, { args, heldBytes }: Request): Work {
    let work: Work;
    try {
      work = command.run?.(args, this.#call);
    } catch (error) {
      work = this.#fail(error, command.name);
    }
    return work === undefined ? this.#giveBack(heldBytes) : this.#settle(work, command, heldBytes);
  }

  #settle(work: Promise<void>, { name }: Command, heldBytes: number): Promise<void> {
    return work.catch((error: unknown) => this.#fail(error, name)).finally(() => this.#giveBack(heldBytes));
  }

  /** The command's name, empty where there is none of it; counts the request under it. */
  #nameOf(given: string): string {
    const { door, commandCounts } = this.#house;
    const lower = given.slice(0, NAME_LENGTH_MAX).toLowerCase();
    const name = door.commands.has(lower) ? lower : "";
    commandCounts.set(name, (commandCounts.get(name) ?? 0) + 1);
    return name;
  }

  async #answerBegun(): Promise<void> {
    const begun = this.#begun;
    this.#begun = [];
    this.#send();
    let answered = 0;
    try {
      for (const { reply, heldBytes } of begun) {
        const write = await reply;
        this.#giveBack(heldBytes);
        answered++;
        if (!this.#isOver) write(this.#out);
      }
    } finally {
      // Those behind one that could not be written are not answered any more.
      for (const { heldBytes } of begun.slice(answered)) this.#giveBack(heldBytes);
    }
  }

  #giveBack(heldBytes: number): void {
    if (heldBytes > 0) this.#house.underWay.giveBack(heldBytes);
  }

  #fail(thrown: unknown, command: string): void {
    this.#out.raw(this.#tell(thrown, command).line);
  }

  /** Those who want to know of an error hear of it. */
  #tell(thrown: unknown, command: string): ErrorReply {
    const reply = errorReply(thrown);
    const { code, isServerFault } = reply;
    if (isServerFault) this.#house.onError(thrown, command);
    if (diagnostics.refused.hasSubscribers) diagnostics.refused.publish({ command, code });
    return reply;
  }

  #send(): void {
    this.#out.written.sendTo(this.#bytes);
    if (this.#socket.writableLength > 0) this.#timeIfStuck();
  }

  /** Those who wait behind the reads do not wait for another one as long. */
  #sendAhead(): void {
    const isLong = this.#out.length > SHORT_BYTES_MAX;
    this.#send();
    if (isLong) this.#house.behindReads.sendWaiting();
  }

  sendNow(): void {
    this.#isSendDue = false;
    // What goes on sends it itself.
    if (this.#isRunning || this.#isOver) return;
    this.#send();
    if (this.#isBlocked()) void this.#run();
  }

  #sendLater(): void {
    if (this.#out.length === 0 || this.#isSendDue) return;
    this.#isSendDue = true;
    this.#house.behindReads.add(this);
  }

  #mayBeSentLater(): boolean {
    return this.#out.length <= SHORT_BYTES_MAX && !this.session.isEnding && !this.#isInputOver && !this.#isBlocked();
  }

  /** Whether the client does not keep up with its replies. */
  #isBlocked(): boolean {
    return this.#socket.writableNeedDrain && this.#socket.writableLength > 0;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#socket.off("drain", settle).off("close", settle);
        resolve();
      };
      this.#socket.on("drain", settle).on("close", settle);
    });
  }

  /** Of those that were silent for long: one that waits for its next request may be, any other is stuck. */
  #dropIfStuck(): void {
    if (this.#isRunning && this.#socket.writableLength === 0) return;
    if (this.#mayBeStuck()) this.destroy();
  }

  /** A request may take its time, and not for ever: each byte of it begins the time of silence anew. */
  #dropIfSlow(): void {
    const { isPartial, taken } = this.#parser;
    if (!isPartial) this.#partial = null;
    else if (this.#partial?.behind !== taken) this.#partial = { behind: taken, sinceMs: performance.now() };
    else if (performance.now() - this.#partial.sinceMs > this.#house.requestMillisMax) this.destroy();
  }

  #mayBeStuck(): boolean {
    return this.#socket.writableLength > 0 || this.#parser.isPartial || !this.session.isAuthenticated;
  }

  /** Silence is timed only where it would matter: to set a timer again at each request and reply costs as much as looking one up. */
  #timeIfStuck(): void {
    const isTimed = this.#mayBeStuck();
    if (isTimed === this.#isTimed) return;
    this.#isTimed = isTimed;
    this.#socket.setTimeout(isTimed ? this.#house.stuckMillisMax : 0);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#send();
    this.#isOver = true;
    this.#parser.dispose();
    // What still comes is thrown away: a connection closed on unread input may lose the last reply.
    this.#socket.end();
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MILLIS);
    this.#socket.once("close", () => clearTimeout(timer));
  }
}
