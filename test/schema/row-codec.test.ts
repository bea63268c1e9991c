import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../src/schema/byte-buffer.ts";
import { type CodecColumn, createRowCodec } from "../../src/schema/row-codec.ts";
import { createColumnReader, createRowColumns, type RowColumns } from "../../src/schema/row-columns.ts";
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

/** The row in place `at`, bools as they were. */
function rowOf({ columns, validity }: RowColumns, types: readonly ValueType[], at: number): Value[] {
  return types.map(({ name }, c) => {
    if (validity[c]?.[at] === 0) return null;
    const value = columns[c]![at]!;
    return name === "bool" ? value === 1 : value;
  });
}

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

  it("reads rows into columns as it does one by one, in places that held others, and columns written otherwise", () => {
    // Some are gone since, some were added, some widened.
    const changed = table.chain(({ columns, rows }) =>
      fc.record({
        columns: fc.constant(columns),
        rows: fc.constant(rows),
        fates: fc.array(fc.constantFrom("same", "gone", "widened"), {
          minLength: columns.length,
          maxLength: columns.length,
        }),
        added: fc.array(type, { maxLength: 3 }),
        isReversed: fc.boolean(),
      }),
    );
    const widen = (from: ValueType): ValueType => {
      if (from.name === "array") return { name: "array", element: widen(from.element) };
      return from.name === "int64" && from.wide !== true ? { name: "int64", wide: true } : from;
    };
    fc.assert(
      fc.property(changed, ({ columns, rows, fates, added, isReversed }) => {
        const codec = createRowCodec(columns);
        const writer = new ByteWriter(1);
        for (const row of rows) codec.encode(row, writer);
        const now = columns.flatMap((column, i) => {
          if (fates[i] === "gone") return [];
          return fates[i] === "widened" ? [{ ...column, type: widen(column.type) }] : [column];
        });
        now.push(...added.map((addedType, i) => ({ name: `new${i}`, type: addedType })));
        if (isReversed) now.reverse();
        const types = now.map((column) => column.type);
        const read = createColumnReader(now, columns);
        const places = createRowColumns(types, 2);
        const [one, other] = [new ByteReader(writer.copy()), new ByteReader(writer.copy())];
        const whole = createRowCodec(now, columns);
        for (let i = 0; i < rows.length; i++) {
          read(one, places, i % 2);
          expect(rowOf(places, types, i % 2)).toEqual(whole.decode(other));
          expect(one.position).toBe(other.position);
        }
      }),
      { numRuns: 300 },
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
    const read = createColumnReader(columns, columns);
    const into = createRowColumns([{ name: "bool" }], 1);
    expect(() => read(new ByteReader(new Uint8Array([9, 0, 1])), into, 0)).toThrow(/version 9/);
    expect(() => createColumnReader(columns, [{ name: "a", type: { name: "string" } }])).toThrow(/another type/);
  });
});
