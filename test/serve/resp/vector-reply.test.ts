import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Value, ValueType } from "../../../src/schema/value.ts";
import { type Protocol, ReplyWriter } from "../../../src/serve/resp/reply-writer.ts";
import { writeVector } from "../../../src/serve/resp/vector-reply.ts";
import type { FeatureVector } from "../../../src/serve/vector-buffer.ts";
import type { VectorPlan } from "../../../src/serve/vector-plan.ts";

type Typed = readonly [ValueType, Value];

const SPECIAL = [0, -0, 1e21, 1e-7, 5e-324, 2 ** 53, -1.5, 0.1 + 0.2, -1.5e-300];
const finite = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(...SPECIAL));
const typed = (double: fc.Arbitrary<number>): fc.Arbitrary<Typed> =>
  fc.oneof(
    fc.tuple(fc.constant<ValueType>({ name: "float64" }), double),
    fc.tuple(fc.constant<ValueType>({ name: "int64" }), fc.maxSafeInteger()),
    fc.tuple(fc.constant<ValueType>({ name: "bool" }), fc.boolean()),
  ) as fc.Arbitrary<Typed>;
const other: fc.Arbitrary<Typed> = fc.oneof(
  fc.tuple(fc.constant<ValueType>({ name: "int64", wide: true }), fc.bigInt().map(String)),
  fc.tuple(fc.constant<ValueType>({ name: "string" }), fc.string({ unit: "grapheme" })),
) as fc.Arbitrary<Typed>;

/** As the table in vector-reply.ts has it, value by value. */
function replyTo([{ name, ...more }, value]: Typed, protocol: Protocol): string {
  const text = Object.is(value, -0) ? "0" : String(value);
  const bulk = `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
  if (value === null) return protocol === 3 ? "_\r\n" : "$-1\r\n";
  if (protocol === 2 || name === "string") return bulk;
  if (name === "bool") return `#${text[0]}\r\n`;
  if (name === "float64") return `,${text.replace("NaN", "nan").replace("Infinity", "inf")}\r\n`;
  return `${"wide" in more ? "(" : ":"}${text}\r\n`;
}

describe("the reply to FGET", () => {
  it.each([
    ["plain numbers", typed(finite)],
    ["numbers that may not be finite", typed(fc.double())],
    ["values that are no numbers, too", fc.oneof(typed(finite), other)],
  ])("is of %s what each of them is", (_, one) => {
    const outputs = fc.array(fc.tuple(one, fc.boolean()), { maxLength: 12 });
    fc.assert(
      fc.property(outputs, fc.constantFrom<Protocol>(2, 3), (chosen, protocol) => {
        const all = chosen.map(([[type, value], isNull]): Typed => [type, isNull ? null : value]);
        const plan = { outputs: all.map(([type]) => ({ type })) } as unknown as VectorPlan;
        const out = new ReplyWriter();
        out.protocol = protocol;
        out.raw("+before\r\n");
        writeVector(plan, { values: all.map(([, value]) => value) } as unknown as FeatureVector, out);
        out.raw("+behind\r\n");
        const expected = `*${all.length}\r\n${all.map((each) => replyTo(each, protocol)).join("")}`;
        expect(out.written.whole().toString()).toBe(`+before\r\n${expected}+behind\r\n`);
      }),
      { numRuns: 1000 },
    );
  });
});
