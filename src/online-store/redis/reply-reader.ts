/**
 * Reads what a Redis sends over a RESP3 connection, split wherever it is: replies, and between them what it tells unasked.
 *
 * Strings are given as bytes that lie in what came: who keeps one keeps a copy. Every byte is looked at once: of a reply that is
 * not whole what was read is remembered, and of what was not read no more is copied than the value that was cut in two.
 *
 * What is told may stand within a reply, too, as Redis 6 put it there; it is told then, and is no part of the reply.
 *
 * Source: the Redis serialization protocol specification (RESP3).
 */

export type RedisReply = Buffer | number | null | RedisError | readonly RedisReply[];

/** A reply that is an error, or what stands in a reply for one. */
export class RedisError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export interface ReplyListener {
  onReply(reply: RedisReply): void;
  /** What was told unasked: its kind, and what belongs to it. */
  onPush(push: readonly RedisReply[]): void;
}

/** The bytes are no reply, and where the next one begins cannot be known. */
export class ReplyProtocolError extends Error {
  override readonly name: string = "ReplyProtocolError";
}

/** One that has begun: of its items some are here. */
interface Begun {
  readonly kind: "reply" | "push" | "attributes";
  readonly items: RedisReply[];
  readonly count: number;
}

const NOTHING: Buffer = Buffer.alloc(0);
const CARRIAGE_RETURN = 0x0d;
const NEWLINE = 0x0a;
const LINE_LENGTH_MAX = 64 * 1024;
/** Of replies within replies. */
const DEPTH_MAX = 32;
const BULK_BYTES_MAX = 512 * 1024 * 1024;

/** Stands for a value that is not whole, and for one that has only begun. */
const UNFINISHED = Symbol("unfinished");
const BEGUN = Symbol("begun");

export class ReplyReader {
  readonly #listener: ReplyListener;
  #bytes: Buffer = NOTHING;
  /** What came behind it, until as much is there as is needed. */
  #behind: Buffer[] = [];
  #behindBytes = 0;
  #at = 0;
  /** So many bytes must be there before it is looked at again. */
  #needed = 0;
  /** From the outermost on. */
  readonly #begun: Begun[] = [];

  constructor(listener: ReplyListener) {
    this.#listener = listener;
  }

  /** Throws `ReplyProtocolError`. */
  take(chunk: Buffer): void {
    this.#behindBytes += chunk.length;
    if (this.#bytes.length + this.#behindBytes < this.#needed) {
      this.#behind.push(chunk);
      return;
    }
    const isAll = this.#bytes.length === 0 && this.#behind.length === 0;
    this.#bytes = isAll ? chunk : Buffer.concat([this.#bytes, ...this.#behind, chunk]);
    this.#behind = [];
    this.#behindBytes = 0;
    this.#needed = 0;
    let from = 0;
    while (from < this.#bytes.length) {
      this.#at = from;
      const value = this.#value();
      if (value === UNFINISHED) break;
      from = this.#at;
      if (value !== BEGUN) this.#add(value);
    }
    this.#bytes = from === this.#bytes.length ? NOTHING : this.#bytes.subarray(from);
    this.#needed = Math.max(0, this.#needed - from);
  }

  /** To what has begun last, or as a reply of its own. */
  #add(given: RedisReply): void {
    let value = given;
    for (;;) {
      const begun = this.#begun.at(-1);
      if (begun === undefined) return this.#listener.onReply(value);
      if (begun.items.push(value) < begun.count) return;
      this.#begun.pop();
      if (begun.kind === "push") this.#listener.onPush(begun.items);
      if (begun.kind !== "reply") return;
      value = begun.items;
    }
  }

  #value(): RedisReply | typeof UNFINISHED | typeof BEGUN {
    const start = this.#at;
    const end = this.#lineEnd();
    if (end === -1) return UNFINISHED;
    const line = (): string => this.#bytes.toString("latin1", start + 1, end);
    switch (this.#bytes[start]) {
      case 0x24: // $ bytes
      case 0x3d: // = text with its format
        return this.#bulk(this.#count(start + 1, end));
      case 0x21: {
        // ! error
        const text = this.#bulk(this.#count(start + 1, end));
        return text === UNFINISHED ? text : new RedisError(String(text));
      }
      case 0x2a: // * array
      case 0x7e: // ~ set
        return this.#begin("reply", this.#count(start + 1, end));
      case 0x25: // % pairs
        return this.#begin("reply", 2 * this.#count(start + 1, end));
      case 0x3e: // > told unasked
        return this.#begin("push", this.#count(start + 1, end));
      case 0x7c: // | attributes of what is behind them
        return this.#begin("attributes", 2 * this.#count(start + 1, end));
      case 0x3a: // : number
        return Number(line());
      case 0x2c: // , number with a point
        return Number(line().replace("inf", "Infinity"));
      case 0x23: // # yes or no
        return this.#bytes[start + 1] === 0x74 ? 1 : 0;
      case 0x5f: // _ nothing
        return null;
      case 0x2b: // + text
      case 0x28: // ( large number
        return this.#bytes.subarray(start + 1, end);
      case 0x2d: // - error
        return new RedisError(line());
      default:
        throw new ReplyProtocolError(`a reply begins with byte ${this.#bytes[start]}`);
    }
  }

  #begin(kind: Begun["kind"], count: number): RedisReply | typeof BEGUN {
    if (this.#begun.length >= DEPTH_MAX) throw new ReplyProtocolError("replies within replies are too deep");
    if (count > 0) this.#begun.push({ kind, items: [], count });
    else if (kind === "reply") return count < 0 ? null : [];
    return BEGUN;
  }

  /** Of the line that begins here, behind which is gone on; -1 where it is not whole. */
  #lineEnd(): number {
    const bytes = this.#bytes;
    const end = bytes.indexOf(CARRIAGE_RETURN, this.#at);
    if (end === -1 || end + 1 >= bytes.length) {
      if (bytes.length - this.#at > LINE_LENGTH_MAX) throw new ReplyProtocolError("a line does not end");
      return -1;
    }
    if (bytes[end + 1] !== NEWLINE) throw new ReplyProtocolError("a line does not end as it must");
    this.#at = end + 2;
    return end;
  }

  /** -1 for none. */
  #count(start: number, end: number): number {
    const bytes = this.#bytes;
    let count = 0;
    for (let i = start; i < end; i++) {
      const digit = bytes[i]! - 0x30;
      if (digit < 0 || digit > 9 || end - start > 10) {
        if (bytes.toString("latin1", start, end) === "-1") return -1;
        throw new ReplyProtocolError("a length is no number");
      }
      count = 10 * count + digit;
    }
    if (start === end) throw new ReplyProtocolError("a length is missing");
    return count;
  }

  #bulk(length: number): Buffer | null | typeof UNFINISHED {
    if (length === -1) return null;
    if (length > BULK_BYTES_MAX) throw new ReplyProtocolError(`a reply of ${length} bytes`);
    const bytes = this.#bytes;
    const end = this.#at + length;
    if (bytes.length < end + 2) {
      this.#needed = end + 2;
      return UNFINISHED;
    }
    if (bytes[end] !== CARRIAGE_RETURN || bytes[end + 1] !== NEWLINE)
      throw new ReplyProtocolError("bytes do not end where they should");
    const bulk = bytes.subarray(this.#at, end);
    this.#at = end + 2;
    return bulk;
  }
}
