/**
 * A growing byte writer and a bounds-checked reader: little-endian, with numbers as varints where small
 * is usual. Everything written can be read back to the bit, but for NaN, which has one pattern.
 */

const TEXT_LOOP_CHARS_MAX = 48;
const VARINT_FAST_MAX = 0x7fff_ffff;

export class ByteWriter {
  #buffer: Buffer;
  #view: DataView;
  #length = 0;

  constructor(initialBytes: number = 4096) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.#view = new DataView(this.#buffer.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written, without a copy: valid until the next write or `clear`. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** What was written, as bytes of their own. */
  copy(): Uint8Array {
    return new Uint8Array(this.view());
  }

  clear(): void {
    this.#length = 0;
  }

  /** Leaves `bytes` to be filled in later; returns where. */
  skip(bytes: number): number {
    this.#reserve(bytes);
    const at = this.#length;
    this.#length += bytes;
    return at;
  }

  /** Forgets everything from `length` on. */
  rewind(length: number): void {
    this.#length = length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  uint32At(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** Not for NaN. */
  float64At(at: number, value: number): void {
    this.#view.setFloat64(at, value, true);
  }

  zeroAt(at: number): void {
    this.#buffer[at] = 0;
  }

  orByteAt(at: number, bits: number): void {
    this.#buffer[at] = this.#buffer[at]! | bits;
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  float64(value: number): void {
    this.#reserve(8);
    // An engine may keep any NaN's payload: write the one pattern.
    this.#view.setFloat64(this.#length, value, true);
    if (value !== value) {
      this.#view.setUint32(this.#length, 0, true);
      this.#view.setUint32(this.#length + 4, 0x7ff80000, true);
    }
    this.#length += 8;
  }

  /** A safe integer >= 0. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest > VARINT_FAST_MAX) {
      this.#buffer[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#buffer[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  /** Any safe integer: the first byte holds the sign and six bits of the magnitude. */
  signedVarint(value: number): void {
    const sign = value < 0 ? 64 : 0;
    const magnitude = Math.abs(value);
    if (magnitude < 64) {
      this.byte(sign | magnitude);
      return;
    }
    this.byte(128 | sign | (magnitude % 64));
    this.varint(Math.floor(magnitude / 64));
  }

  text(value: string): void {
    const chars = value.length;
    this.#reserve(chars * 3 + 8);
    if (chars <= TEXT_LOOP_CHARS_MAX) {
      const buffer = this.#buffer;
      let at = this.#length + 1;
      for (let i = 0; i < chars; i++) {
        const code = value.charCodeAt(i);
        if (code > 127) {
          at = -1;
          break;
        }
        buffer[at++] = code;
      }
      if (at >= 0) {
        buffer[this.#length] = chars;
        this.#length = at;
        return;
      }
    }
    const bytes = Buffer.byteLength(value);
    this.varint(bytes);
    this.textBytes(value, bytes);
  }

  /** UTF-8 without a length in front; `bytes` is its `Buffer.byteLength`. */
  textBytes(value: string, bytes: number): void {
    this.#reserve(bytes);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
  }

  /** Bytes with their length in front. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.view());
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what `ByteWriter` wrote. Throws `RangeError` past the end. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  position: number;

  constructor(bytes: Uint8Array, position: number = 0) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
  }

  get length(): number {
    return this.#buffer.length;
  }

  get atEnd(): boolean {
    return this.position >= this.#buffer.length;
  }

  byte(): number {
    const value = this.#buffer[this.position];
    if (value === undefined) throw new RangeError("read past the end");
    this.position++;
    return value;
  }

  uint32(): number {
    const value = this.#view.getUint32(this.position, true);
    this.position += 4;
    return value;
  }

  float64(): number {
    const value = this.#view.getFloat64(this.position, true);
    this.position += 8;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  signedVarint(): number {
    const first = this.byte();
    let magnitude = first & 63;
    if (first & 128) magnitude += this.varint() * 64;
    return first & 64 ? -magnitude : magnitude;
  }

  text(): string {
    return this.textOf(this.varint());
  }

  /** UTF-8 of so many bytes. */
  textOf(length: number): string {
    const end = this.#checkedEnd(length);
    const text = this.#buffer.toString("utf8", this.position, end);
    this.position = end;
    return text;
  }

  /** A copy. */
  bytes(): Uint8Array {
    return new Uint8Array(this.raw(this.varint()));
  }

  /** The next `length` bytes, without a copy. */
  raw(length: number): Uint8Array {
    const end = this.#checkedEnd(length);
    const bytes = this.#buffer.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  #checkedEnd(length: number): number {
    const end = this.position + length;
    if (end > this.#buffer.length) throw new RangeError("read past the end");
    return end;
  }
}
