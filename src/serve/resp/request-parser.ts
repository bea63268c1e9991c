/**
 * Reads requests from a connection's bytes, split wherever they are:
 *
 *     request = "*" count CRLF  count times ("$" length CRLF  length bytes  CRLF)      or a line of words
 *
 * It is asked for one request at a time, so that what is not carried out yet stays bytes. Every byte is
 * looked at once: what an unfinished request needs is kept, and parsing goes on behind it. Bytes that came are read
 * where they are, and copied only where something of them is left over.
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
const NOTHING: Buffer = Buffer.alloc(0);

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
  /** Whole requests so far. */
  taken = 0;
  readonly #limits: RequestLimits;
  readonly #underWay: BytesUnderWay;
  /** What is not read yet is `[at, end)` of these. */
  #bytes: Buffer = NOTHING;
  #at = 0;
  #end = 0;
  /** Whether they are whoever's that wrote them, and good only until `keep` is called. */
  #areLent = false;
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
    return this.#argsLeft > 0 || this.#at < this.#end;
  }

  /** Bytes that came; the next request begins at `position`, where none is partly read. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get position(): number {
    return this.#at;
  }

  /**
   * Where the next request ends if it is whole and a short list of arguments, as most are; else -1. To be sure that
   * it is a request, compare its bytes with one that was: nothing but the lengths is looked at.
   */
  nextEnd(): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    // What follows would not be told from what came before.
    if (this.#argsLeft > 0 || end - at < 4 || bytes[at] !== STAR) return -1;
    let left = bytes[at + 1]! - ZERO;
    if (!(left > 0 && left <= 9) || bytes[at + 2] !== CARRIAGE_RETURN) return -1;
    at += 4;
    for (; left > 0; left--) {
      if (at + 3 > end || bytes[at++] !== DOLLAR) return -1;
      let length = bytes[at++]! - ZERO;
      if (!(length >= 0 && length <= 9)) return -1;
      let next = bytes[at++]!;
      for (; next !== CARRIAGE_RETURN; next = bytes[at++]!) {
        const digit = next - ZERO;
        length = length * 10 + digit;
        if (!(digit >= 0 && digit <= 9 && length <= SHORT_BYTES) || at >= end) return -1;
      }
      at += 1 + length + 2;
    }
    return at > end ? -1 : at;
  }

  /** Steps over the next request, to where `nextEnd` says. */
  skipTo(end: number): void {
    this.taken++;
    this.#at = end;
  }

  /** Takes `chunk[0, length)`, which is lent: `keep` must be called before it is written over. */
  write(chunk: Buffer, length: number = chunk.length): void {
    let from = 0;
    if (this.#bulk !== null) {
      from = this.#bulk.take(chunk.subarray(0, length), 0);
      this.#hold();
      if (from === length) return;
    }
    if (this.#at === this.#end) {
      this.#bytes = chunk;
      this.#at = from;
      this.#end = length;
      this.#areLent = true;
    } else this.#append(chunk, from, length);
  }

  /** Lets go of what was lent: what is not read yet is copied. Nothing is held while a client is silent. */
  keep(): void {
    if (this.#at === this.#end) {
      this.#bytes = NOTHING;
      this.#at = 0;
      this.#end = 0;
    } else if (this.#areLent) this.#append(NOTHING, 0, 0);
    this.#areLent = false;
  }

  /** Puts what is not read yet, and these bytes behind it, into a buffer of its own. */
  #append(chunk: Buffer, from: number, to: number): void {
    const left = this.#end - this.#at;
    const needed = left + to - from;
    if (this.#areLent || this.#at + needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(this.#areLent ? needed : Math.max(needed, 2 * left));
      this.#bytes.copy(grown, 0, this.#at, this.#end);
      this.#bytes = grown;
      this.#at = 0;
      this.#end = left;
      this.#areLent = false;
    }
    chunk.copy(this.#bytes, this.#end, from, to);
    this.#end += to - from;
  }

  /**
   * The next whole request, or null until more bytes are there. Throws `ProtocolError`, and is of no use then.
   * `limits` stand in for the connection's own: of those who have not said who they are, less is taken.
   */
  next(limits: RequestLimits = this.#limits): Request | null {
    while (this.#argsLeft === 0) {
      if (this.#at === this.#end) return null;
      if (this.#bytes[this.#at] !== STAR) {
        const line = this.#takeLine(limits.inlineBytesMax);
        if (line === null) return null;
        const words = splitInlineCommand(line);
        if (words === null) throw new ProtocolError("unbalanced quotes in request");
        if (words.length > 0) {
          this.taken++;
          return { args: words, isRefused: false, heldBytes: 0 };
        }
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
    this.taken++;
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
    this.#bytes = NOTHING;
    this.#at = 0;
    this.#end = 0;
    this.#argsLeft = 0;
  }

  /** False until all of the argument is there. */
  #takeArgument(limits: RequestLimits): boolean {
    if (this.#bulk === null) {
      const bytes = this.#bytes;
      if (this.#at === this.#end) return false;
      if (bytes[this.#at] !== DOLLAR) {
        throw new ProtocolError(`expected '$', got '${printable(bytes[this.#at]!)}'`);
      }
      const length = this.#takeCount("bulk length", "bulk count string");
      if (length === null) return false;
      this.#argsBytes += length;
      if (length < 0 || this.#argsBytes > limits.requestBytesMax) throw new ProtocolError("invalid bulk length");
      const end = this.#at + length;
      if (end + 2 > this.#end) {
        this.#beginPartial(length);
        return false;
      }
      expectLineEnd(bytes[end], bytes[end + 1]);
      if (!this.#isRefused) this.#keep(bytes.toString("latin1", this.#at, end));
      this.#at = end + 2;
    } else {
      if (!this.#bulk.isComplete) return false;
      const text = this.#bulk.text();
      this.#bulk = null;
      if (!this.#isRefused) {
        expectLineEnd(text.charCodeAt(text.length - 2), text.charCodeAt(text.length - 1));
        this.#keep(text.slice(0, -2));
      }
    }
    this.#argsLeft--;
    return true;
  }

  #beginPartial(length: number): void {
    this.#bulk = new PartialBulk(length);
    if (this.#isRefused) this.#bulk.discard();
    this.#bulk.take(this.#bytes.subarray(this.#at, this.#end), 0);
    this.#at = this.#end;
  }

  /** The number behind `*` or `$`, or null until its line is whole. */
  #takeCount(what: string, tooLong: string): number | null {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at + 1;
    const isNegative = at < end && bytes[at] === MINUS;
    if (isNegative) at++;
    const digits = at;
    let count = 0;
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      count = count * 10 + digit;
    }
    if (at - this.#at > COUNT_LENGTH_MAX) throw new ProtocolError(`too big ${tooLong}`);
    if (at >= end) return null;
    if (at === digits || bytes[at] !== CARRIAGE_RETURN) throw new ProtocolError(`invalid ${what}`);
    if (at + 1 === end) return null;
    expectLineEnd(bytes[at], bytes[at + 1]);
    this.#at = at + 2;
    return isNegative ? -count : count;
  }

  /** A line of words without its end, or null until it is whole. */
  #takeLine(bytesMax: number): string | null {
    const found = this.#bytes.indexOf(NEWLINE, this.#at);
    // What is behind the end is nobody's.
    const end = found >= this.#end ? -1 : found;
    if ((end < 0 ? this.#end : end) - this.#at > bytesMax) throw new ProtocolError("too big inline request");
    if (end < 0) return null;
    const line = this.#bytes.toString("latin1", this.#at, end);
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

function expectLineEnd(first: number | undefined, second: number | undefined): void {
  if (first === CARRIAGE_RETURN && second === NEWLINE) return;
  throw new ProtocolError("expected a line end (CRLF)");
}

function printable(byte: number): string {
  return byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
}
