/**
 * Reads requests from a connection's bytes, split wherever they are:
 *
 *     request = "*" count CRLF  count times ("$" length CRLF  length bytes  CRLF)      or a line of words
 *
 * It is asked for one request at a time, so that what is not carried out yet stays bytes. Every byte is
 * looked at once: what an unfinished request needs is kept, and parsing goes on behind it.
 *
 * Source: the Redis serialization protocol specification.
 */
import type { BytesUnderWay } from "../request-body.ts";
import { splitInlineCommand } from "./inline-command.ts";
import { PartialBulk } from "./partial-bulk.ts";

export interface RequestLimits {
  /** A line of words. */
  readonly inlineBytesMax: number;
  readonly argumentsMax: number;
  /** One argument, and all of a request together. */
  readonly requestBytesMax: number;
}

export interface Request {
  /** Byte strings: the command's name first. Empty where the request was refused. */
  readonly args: readonly string[];
  /** There was no room for it among the bytes under way, and nothing of it was kept. */
  readonly isRefused: boolean;
  /** What it took of the bytes under way: to be given back once it is answered. */
  readonly heldBytes: number;
}

/** The bytes are no request, and where the next one begins cannot be known: the connection is lost. */
export class ProtocolError extends Error {
  override readonly name: string = "ProtocolError";
}

const CARRIAGE_RETURN = 0x0d;
const NEWLINE = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const ZERO = 0x30;

/** A count or a length has at most so many characters, its line end included. */
const COUNT_LENGTH_MAX = 32;
/** What each connection may hold of an unfinished request without asking. */
const FREE_BYTES = 16 * 1024;
/** Held beyond that is taken in such steps. */
const HOLD_STEP_BYTES = 64 * 1024;
/** An argument up to this length is short. */
const SHORT_BYTES = 1024;
/** About what an argument takes in memory beside its bytes. */
const ARGUMENT_BYTES = 48;

export class RequestParser {
  readonly #limits: RequestLimits;
  readonly #underWay: BytesUnderWay;
  #text = "";
  #at = 0;
  /** Of the request being read. */
  #args: string[] = [];
  #argsLeft = 0;
  /** Announced so far. */
  #argsBytes = 0;
  /** Memory of the arguments so far. */
  #keptBytes = 0;
  #bulk: PartialBulk | null = null;
  #heldBytes = 0;
  #isRefused = false;

  constructor(limits: RequestLimits, underWay: BytesUnderWay) {
    this.#limits = limits;
    this.#underWay = underWay;
  }

  /** Whether a request has begun that is not whole. */
  get isPartial(): boolean {
    return this.#argsLeft > 0 || this.#at < this.#text.length;
  }

  /** Lets go of what came, if all of it was read, so that it is not held while the client is silent; says whether it was. */
  letGo(): boolean {
    if (this.isPartial) return false;
    this.#text = "";
    this.#at = 0;
    return true;
  }

  /** Bytes that came, as characters; the next request begins at `position`, where none is partly read. */
  get text(): string {
    return this.#text;
  }

  get position(): number {
    return this.#at;
  }

  /**
   * Where the next request ends if it is whole and a short list of arguments, as most are; else -1. To be sure that
   * it is a request, compare its bytes with one that was: nothing but the lengths is looked at.
   */
  nextEnd(): number {
    const text = this.#text;
    let at = this.#at;
    if (this.#argsLeft > 0 || text.charCodeAt(at) !== STAR) return -1;
    let left = text.charCodeAt(at + 1) - ZERO;
    if (!(left > 0 && left <= 9) || text.charCodeAt(at + 2) !== CARRIAGE_RETURN) return -1;
    at += 4;
    for (; left > 0; left--) {
      if (text.charCodeAt(at++) !== DOLLAR) return -1;
      let length = text.charCodeAt(at++) - ZERO;
      if (!(length >= 0 && length <= 9)) return -1;
      let next = text.charCodeAt(at++);
      for (; next !== CARRIAGE_RETURN; next = text.charCodeAt(at++)) {
        const digit = next - ZERO;
        length = length * 10 + digit;
        if (!(digit >= 0 && digit <= 9 && length <= SHORT_BYTES)) return -1;
      }
      at += 1 + length + 2;
    }
    return at > text.length ? -1 : at;
  }

  /** Steps over the next request, to where `nextEnd` says. */
  skipTo(end: number): void {
    this.#at = end;
  }

  write(chunk: Buffer): void {
    let from = 0;
    if (this.#bulk !== null) {
      from = this.#bulk.take(chunk, 0);
      this.#hold();
      if (from === chunk.length) return;
    }
    const fresh = chunk.toString("latin1", from);
    this.#text = this.#at === this.#text.length ? fresh : this.#text.slice(this.#at) + fresh;
    this.#at = 0;
  }

  /**
   * The next whole request, or null until more bytes are there. Throws `ProtocolError`, and is of no use then.
   * `limits` stand in for the connection's own: of those who have not said who they are, less is taken.
   */
  next(limits: RequestLimits = this.#limits): Request | null {
    while (this.#argsLeft === 0) {
      if (this.#at === this.#text.length) {
        // What came is not held while the client is silent.
        this.#text = "";
        this.#at = 0;
        return null;
      }
      if (this.#text.charCodeAt(this.#at) !== STAR) {
        const line = this.#takeLine(limits.inlineBytesMax);
        if (line === null) return null;
        const words = splitInlineCommand(line);
        if (words === null) throw new ProtocolError("unbalanced quotes in request");
        if (words.length > 0) return { args: words, isRefused: false, heldBytes: 0 };
        continue;
      }
      const count = this.#takeCount("multibulk length", "mbulk count string");
      if (count === null) return null;
      if (count > limits.argumentsMax) throw new ProtocolError("invalid multibulk length");
      // A count below one is a request for nothing, and gets no answer.
      this.#argsLeft = Math.max(0, count);
    }
    while (this.#argsLeft > 0) {
      if (!this.#takeArgument(limits)) {
        this.#hold();
        return null;
      }
    }
    const request = { args: this.#args, isRefused: this.#isRefused, heldBytes: this.#heldBytes };
    this.#args = [];
    this.#argsBytes = 0;
    this.#keptBytes = 0;
    this.#heldBytes = 0;
    this.#isRefused = false;
    return request;
  }

  /** For a connection that is gone: gives back what an unfinished request held. */
  dispose(): void {
    this.#underWay.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
    this.#args = [];
    this.#bulk = null;
    this.#text = "";
    this.#at = 0;
    this.#argsLeft = 0;
  }

  /** False until all of the argument is there. */
  #takeArgument(limits: RequestLimits): boolean {
    if (this.#bulk === null) {
      const text = this.#text;
      if (this.#at === text.length) return false;
      if (text.charCodeAt(this.#at) !== DOLLAR) {
        throw new ProtocolError(`expected '$', got '${printable(text[this.#at]!)}'`);
      }
      const length = this.#takeCount("bulk length", "bulk count string");
      if (length === null) return false;
      this.#argsBytes += length;
      if (length < 0 || this.#argsBytes > limits.requestBytesMax) throw new ProtocolError("invalid bulk length");
      const end = this.#at + length;
      if (end + 2 > text.length) {
        this.#beginPartial(length);
        return false;
      }
      expectLineEnd(text, end);
      if (!this.#isRefused) this.#keep(text.slice(this.#at, end));
      this.#at = end + 2;
    } else {
      if (!this.#bulk.isComplete) return false;
      const text = this.#bulk.text();
      this.#bulk = null;
      if (!this.#isRefused) {
        expectLineEnd(text, text.length - 2);
        this.#keep(text.slice(0, -2));
      }
    }
    this.#argsLeft--;
    return true;
  }

  #beginPartial(length: number): void {
    this.#bulk = new PartialBulk(length);
    if (this.#isRefused) this.#bulk.discard();
    this.#bulk.take(Buffer.from(this.#text.slice(this.#at), "latin1"), 0);
    this.#at = this.#text.length;
  }

  /** The number behind `*` or `$`, or null until its line is whole. */
  #takeCount(what: string, tooLong: string): number | null {
    const text = this.#text;
    let at = this.#at + 1;
    const isNegative = text.charCodeAt(at) === MINUS;
    if (isNegative) at++;
    const digits = at;
    let count = 0;
    for (; at < text.length; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      count = count * 10 + digit;
    }
    if (at - this.#at > COUNT_LENGTH_MAX) throw new ProtocolError(`too big ${tooLong}`);
    if (at >= text.length) return null;
    if (at === digits || text.charCodeAt(at) !== CARRIAGE_RETURN) throw new ProtocolError(`invalid ${what}`);
    if (at + 1 === text.length) return null;
    expectLineEnd(text, at);
    this.#at = at + 2;
    return isNegative ? -count : count;
  }

  /** A line of words without its end, or null until it is whole. */
  #takeLine(bytesMax: number): string | null {
    const end = this.#text.indexOf("\n", this.#at);
    if ((end < 0 ? this.#text.length : end) - this.#at > bytesMax) throw new ProtocolError("too big inline request");
    if (end < 0) return null;
    const line = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return line;
  }

  #keep(arg: string): void {
    this.#args.push(arg);
    this.#keptBytes += arg.length + ARGUMENT_BYTES;
  }

  /** Takes what the unfinished request holds from the bytes under way; where that is too much, keeps nothing more of it. */
  #hold(): void {
    if (this.#isRefused) return;
    const present = this.#keptBytes + (this.#bulk?.heldBytes ?? 0);
    const wanted = present <= FREE_BYTES ? 0 : Math.ceil(present / HOLD_STEP_BYTES) * HOLD_STEP_BYTES;
    if (wanted <= this.#heldBytes) return;
    if (this.#underWay.take(wanted - this.#heldBytes)) {
      this.#heldBytes = wanted;
      return;
    }
    this.#isRefused = true;
    this.#args = [];
    this.#bulk?.discard();
    this.#underWay.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

function expectLineEnd(text: string, at: number): void {
  if (text.charCodeAt(at) === CARRIAGE_RETURN && text.charCodeAt(at + 1) === NEWLINE) return;
  throw new ProtocolError("expected a line end (CRLF)");
}

function printable(char: string): string {
  return char >= " " && char <= "~" ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
