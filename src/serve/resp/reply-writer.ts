/**
 * Writes replies in the connection's protocol, one behind the other into one buffer, so that all replies to
 * what came in together go out in one write.
 *
 * | reply   | RESP2                        | RESP3       |
 * |---------|------------------------------|-------------|
 * | nothing | nil bulk string              | null        |
 * | map     | array of names and values    | map         |
 */
import { AnswerBytes, connectionBlocks } from "../answer-bytes.ts";
import { encodeText } from "./byte-string.ts";

export type Protocol = 2 | 3;

/** What can be replied: text, whole numbers, null, lists and maps of these. */
export type Reply = string | number | null | readonly Reply[] | ReadonlyMap<string, Reply>;

export class ReplyWriter {
  protocol: Protocol = 2;
  /** All that was written: for replies that are formatted already, and for who keeps them. */
  readonly written: AnswerBytes = new AnswerBytes(connectionBlocks);

  /** Bytes written and not sent yet. */
  get length(): number {
    return this.written.length;
  }

  /** A byte string as it is. */
  raw(bytes: string): void {
    this.written.latin1(bytes);
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
    const block = this.written.room(bytes + 2);
    const view = new DataView(block.buffer, block.byteOffset + this.length, bytes);
    this.written.wrote(bytes);
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
}

/** A map reply from an object. */
export function mapReply(members: Readonly<Record<string, Reply>>): ReadonlyMap<string, Reply> {
  return new Map(Object.entries(members));
}
