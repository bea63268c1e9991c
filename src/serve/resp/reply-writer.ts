/**
 * Writes replies in the connection's protocol, one behind the other into one buffer, so that all replies to
 * what came in together go out in one write.
 *
 * | reply   | RESP2                        | RESP3       |
 * |---------|------------------------------|-------------|
 * | nothing | nil bulk string              | null        |
 * | map     | array of names and values    | map         |
 */
import { encodeText } from "./byte-string.ts";

export type Protocol = 2 | 3;

/** What can be replied: text, whole numbers, null, lists and maps of these. */
export type Reply = string | number | null | readonly Reply[] | ReadonlyMap<string, Reply>;

const FIRST_BYTES = 16 * 1024;
/** A buffer larger than this is not kept for later replies. */
const SPARE_BYTES_MAX = 1024 * 1024;
/** As many as connections wait at a time until their replies are sent. */
const SPARES_MAX = 16;

/** Buffers that wait for the next connections that have something to say: an idle connection has none. */
export class SpareBuffers {
  readonly #spares: Buffer[] = [];

  take(): Buffer {
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length <= SPARE_BYTES_MAX && this.#spares.length < SPARES_MAX) this.#spares.push(buffer);
  }
}

const NOTHING = new Uint8Array(0);

export class ReplyWriter {
  protocol: Protocol = 2;
  readonly #spare: SpareBuffers;
  #buffer: Buffer | null = null;
  #length = 0;

  constructor(spare: SpareBuffers) {
    this.#spare = spare;
  }

  /** Bytes written and not taken yet. */
  get length(): number {
    return this.#length;
  }

  /** Hands all that was written to `send`, which says whether the bytes were copied and may be written over. */
  flush(send: (bytes: Uint8Array) => boolean): void {
    if (this.#buffer === null || this.#length === 0) return;
    const buffer = this.#buffer;
    const bytes = buffer.subarray(0, this.#length);
    this.#buffer = null;
    this.#length = 0;
    if (send(bytes)) this.#spare.giveBack(buffer);
  }

  /** A byte string as it is: replies that are formatted already. */
  raw(bytes: string): void {
    const buffer = this.#room(bytes.length);
    this.#length += buffer.write(bytes, this.#length, "latin1");
  }

  /** Bytes of a buffer as they are. */
  bytes(from: Buffer, start: number, end: number): void {
    const buffer = this.#room(end - start);
    this.#length += from.copy(buffer, this.#length, start, end);
  }

  /** What was written since the length was `from`: good until more is written or sent. */
  since(from: number): Uint8Array {
    return this.#buffer === null ? NOTHING : this.#buffer.subarray(from, this.#length);
  }

  /** A status: one line, such as `OK`. */
  status(line: string): void {
    this.raw(`+${line}\r\n`);
  }

  /** Text as a bulk string. */
  text(text: string): void {
    this.bulk(encodeText(text));
  }

  /** A byte string as a bulk string. */
  bulk(bytes: string): void {
    this.raw(`$${bytes.length}\r\n${bytes}\r\n`);
  }

  /** A bulk string of so many bytes, to be filled in at once. */
  reserveBulk(bytes: number): DataView {
    this.raw(`$${bytes}\r\n`);
    const buffer = this.#room(bytes + 2);
    const view = new DataView(buffer.buffer, buffer.byteOffset + this.#length, bytes);
    this.#length += bytes;
    this.raw("\r\n");
    return view;
  }

  /** Head of an array; so many replies must follow. */
  array(length: number): void {
    this.raw(`*${length}\r\n`);
  }

  reply(reply: Reply): void {
    if (reply === null) this.raw(this.protocol === 3 ? "_\r\n" : "$-1\r\n");
    else if (typeof reply === "string") this.text(reply);
    else if (typeof reply === "number") this.raw(`:${reply}\r\n`);
    else if (reply instanceof Map) {
      this.raw(this.protocol === 3 ? `%${reply.size}\r\n` : `*${2 * reply.size}\r\n`);
      for (const [name, value] of reply as ReadonlyMap<string, Reply>) {
        this.text(name);
        this.reply(value);
      }
    } else {
      const list = reply as readonly Reply[];
      this.array(list.length);
      for (const each of list) this.reply(each);
    }
  }

  #room(bytes: number): Buffer {
    const buffer = (this.#buffer ??= this.#spare.take());
    const needed = this.#length + bytes;
    if (needed <= buffer.length) return buffer;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * buffer.length));
    buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
    return grown;
  }
}

/** A map reply from an object. */
export function mapReply(members: Readonly<Record<string, Reply>>): ReadonlyMap<string, Reply> {
  return new Map(Object.entries(members));
}
