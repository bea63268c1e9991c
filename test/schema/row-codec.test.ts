import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../src/schema/byte-buffer.ts";
import { type CodecColumn, createRowCodec } from "../../src/schema/row-codec.ts";
import type { Value, ValueType } from "../../src/schema/value.ts";

const scalars: ValueType[] = [
  { name: "int64" },
  { name: "int64", wide: true },
  { name: "float64" },
  { name: "string" },
  { name: "bytes" },
  { name: "bool" },
  { name: "timestamp" },
];

function valueOf(type: ValueType): fc.Arbitrary<Value> {
  switch (type.name) {
    case "int64":
      return type.wide === true ? fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n }).map(String) : fc.maxSafeInteger();
    case "timestamp":
      return fc.maxSafeInteger();
    case "float64":
      return fc.double();
    case "string":
      return fc.oneof(fc.string({ unit: "binary", maxLength: 80 }), fc.string({ unit: "grapheme", maxLength: 60 }));
    case "bytes":
      return fc.uint8Array({ maxLength: 300 });
    case "bool":
      return fc.boolean();
    case "array":
      return fc.array(fc.option(valueOf(type.element)), { maxLength: 5 });
  }
}

const type: fc.Arbitrary<ValueType> = fc
  .tuple(fc.constantFrom(...scalars), fc.nat(2))
  .map(([scalar, depth]) =>
    Array.from({ length: depth }).reduce<ValueType>((element) => ({ name: "array", element }), scalar),
  );

const table = fc.array(type, { minLength: 1, maxLength: 20 }).chain((types) => {
  const columns: CodecColumn[] = types.map((columnType, i) => ({ name: `c${i}`, type: columnType }));
  const row = fc.tuple(...types.map((columnType) => fc.option(valueOf(columnType))));
  return fc.record({ columns: fc.constant(columns), rows: fc.array(row, { maxLength: 10 }) });
});

describe("row codec", () => {
  it("gives every row back to the bit, rows one after the other", () => {
    fc.assert(
      fc.property(table, ({ columns, rows }) => {
        const codec = createRowCodec(columns);
        const writer = new ByteWriter(1);
        for (const row of rows) codec.encode(row, writer);
        const reader = new ByteReader(writer.copy());
        for (const row of rows) expect(codec.decode(reader)).toEqual(row);
        expect(reader.atEnd).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("writes every NaN with one bit pattern", () => {
    const writer = new ByteWriter();
    const odd = new DataView(new ArrayBuffer(8));
    odd.setUint32(0, 0xfff80001);
    writer.float64(odd.getFloat64(0));
    writer.float64(Number.NaN);
    const bytes = Buffer.from(writer.copy());
    expect(bytes.subarray(0, 8).equals(bytes.subarray(8))).toBe(true);
  });

  it("holds the edges of the safe integers", () => {
    for (const value of [
      0,
      1,
      -1,
      63,
      64,
      -64,
      127,
      128,
      2 ** 31,
      -(2 ** 32),
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ]) {
      const writer = new ByteWriter();
      writer.signedVarint(value);
      writer.varint(Math.abs(value));
      const reader = new ByteReader(writer.copy());
      expect([reader.signedVarint(), reader.varint(), reader.atEnd]).toEqual([value, Math.abs(value), true]);
    }
  });

  it("refuses a codec version or a column type it does not know", () => {
    const columns: CodecColumn[] = [{ name: "a", type: { name: "bool" } }];
    expect(() => createRowCodec(columns).decode(new ByteReader(new Uint8Array([9, 0, 1])))).toThrow(/version 9/);
    expect(() => createRowCodec(columns, [{ name: "a", type: { name: "string" } }])).toThrow(/another type/);
  });
});
