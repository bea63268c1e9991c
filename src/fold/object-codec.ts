/**
 * Object cells as bytes: a tag, then the content.
 *
 *     0 null   1 false   2 true   3 float64   4 UTF-8 text   5 UTF-16 text   6 bytes   7 array   8 FAILED
 *
 * Lengths are unsigned 32-bit little-endian. Text with a surrogate in it goes as UTF-16, because a lone
 * one does not survive UTF-8.
 */
import type { Value } from "../schema/value.ts";
import { FAILED } from "./accumulator.ts";

const SURROGATE = /[\uD800-\uDFFF]/;
/** Up to here a loop over a text's characters is quicker than asking the runtime to write it. */
const SHORT_TEXT = 64;

export class ObjectWriter {
  #buffer: Buffer = Buffer.allocUnsafe(256);
  #length: number = 0;

  putAll(objects: readonly unknown[], begin: number, end: number): void {
    for (let i = begin; i < end; i++) this.put(objects[i]);
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#length));
  }

  /** What is written begins here and is `length` bytes long. Good until more is put. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  put(value: unknown): void {
    if (value === null || value === undefined) this.#tag(0);
    else if (typeof value === "boolean") this.#tag(value ? 2 : 1);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#text(value);
    else if (value === FAILED) this.#tag(8);
    else if (value instanceof Uint8Array) {
      this.#tag(6);
      this.#size(value.length);
      this.#reserve(value.length);
      this.#buffer.set(value, this.#length);
      this.#length += value.length;
    } else {
      const elements = value as readonly Value[];
      this.#tag(7);
      this.#size(elements.length);
      for (const element of elements) this.put(element);
    }
  }

  #number(value: number): void {
    this.#tag(3);
    this.#reserve(8);
    // a NaN read from anywhere is written as this one
    if (value === value) this.#buffer.writeDoubleLE(value, this.#length);
    else this.#buffer.writeBigUInt64LE(0x7ff8000000000000n, this.#length);
    this.#length += 8;
  }

  #text(value: string): void {
    if (value.length <= SHORT_TEXT && this.#asciiText(value)) return;
    const encoding = SURROGATE.test(value) ? "utf16le" : "utf8";
    const length = Buffer.byteLength(value, encoding);
    this.#tag(encoding === "utf8" ? 4 : 5);
    this.#size(length);
    this.#reserve(length);
    this.#buffer.write(value, this.#length, encoding);
    this.#length += length;
  }

  /** Writes a short text of ASCII characters, which are their own UTF-8; false, and nothing, for others. */
  #asciiText(value: string): boolean {
    const { length } = value;
    this.#reserve(5 + length);
    const buffer = this.#buffer;
    const at = this.#length + 5;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[at + i] = code;
    }
    this.#tag(4);
    this.#size(length);
    this.#length += length;
    return true;
  }

  #tag(tag: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = tag;
  }

  #size(size: number): void {
    this.#reserve(4);
    this.#buffer.writeUInt32LE(size, this.#length);
    this.#length += 4;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + more));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** Throws a plain `Error` or `RangeError` for bytes that are not what the writer writes. */
export class ObjectReader {
  readonly #buffer: Buffer;
  #at: number = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** An array without room for more, as what is read stays in memory with its state. */
  take(count: number): unknown[] {
    if (count === 1) return [this.#next(0)];
    const objects: unknown[] = [];
    for (let i = 0; i < count; i++) objects.push(this.#next(0));
    return objects.slice();
  }

  expectEnd(): void {
    if (this.#at !== this.#buffer.length) throw new Error(`${this.#buffer.length - this.#at} bytes are left over`);
  }

  #next(depth: number): unknown {
    const tag = this.#buffer.readUInt8(this.#advance(1));
    switch (tag) {
      case 0:
        return null;
      case 1:
        return false;
      case 2:
        return true;
      case 3:
        return this.#buffer.readDoubleLE(this.#advance(8));
      case 4:
        return this.#slice().toString("utf8");
      case 5:
        return this.#slice().toString("utf16le");
      case 6:
        return new Uint8Array(this.#slice());
      case 7: {
        if (depth > 64) throw new Error("arrays are nested too deeply");
        const length = this.#buffer.readUInt32LE(this.#advance(4));
        const elements: unknown[] = [];
        for (let i = 0; i < length; i++) elements.push(this.#next(depth + 1));
        return elements;
      }
      case 8:
        return FAILED;
      default:
        throw new Error(`an object cell has tag ${tag}`);
    }
  }

  #slice(): Buffer {
    const length = this.#buffer.readUInt32LE(this.#advance(4));
    const from = this.#advance(length);
    return this.#buffer.subarray(from, from + length);
  }

  #advance(length: number): number {
    const from = this.#at;
    if (from + length > this.#buffer.length) throw new Error("they end too early");
    this.#at = from + length;
    return from;
  }
}
