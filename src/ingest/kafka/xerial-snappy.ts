/**
 * Snappy as Java's Kafka clients write it: not one compressed block but a row of them, each behind its length.
 *
 *     82 "SNAPPY" 00 | version, compatible version: 4 bytes each | length: 4 bytes, big-endian | block | length | block ...
 *
 * https://github.com/xerial/snappy-java (SnappyOutputStream)
 */
const MAGIC = Buffer.from("82534e4150505900", "hex");
const HEADER_BYTES = 16;

/** `decompress` is of one block. What has no such frame is one block. Throws a `RangeError` for a frame that is cut short. */
export function snappyDecompressor(decompress: (block: Buffer) => Buffer): (bytes: Buffer) => Buffer {
  return (bytes) => {
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return decompress(bytes);
    const parts: Buffer[] = [];
    for (let at = HEADER_BYTES; at < bytes.length;) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > bytes.length) throw new RangeError("a block of compressed records is cut short");
      parts.push(decompress(bytes.subarray(at + 4, end)));
      at = end;
    }
    return Buffer.concat(parts);
  };
}
