import fc from "fast-check";
import { expect, it } from "vitest";
import { RedisError, type RedisReply, ReplyReader } from "../../../src/online-store/redis/reply-reader.ts";

/** What is sent, and what is to be read of it. */
interface Sent {
  readonly bytes: Buffer;
  readonly reply: unknown;
}

const line = fc.string({ unit: fc.constantFrom("a", "B", " ", ":", "0", "é") }).map((text) => Buffer.from(text));
const bulk = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const sentBulk = (kind: string, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${kind}${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]);
const sentLine = (kind: string, text: Buffer | string): Buffer =>
  Buffer.concat([Buffer.from(kind), Buffer.from(text), Buffer.from("\r\n")]);

const single: fc.Arbitrary<Sent> = fc.oneof(
  bulk.map((bytes) => ({ bytes: sentBulk("$", bytes), reply: bytes.toString("hex") })),
  line.map((text) => ({ bytes: sentLine("+", text), reply: text.toString("hex") })),
  line.map((text) => ({ bytes: sentLine("-", text), reply: { error: text.toString("latin1") } })),
  bulk.map((bytes) => ({ bytes: sentBulk("!", bytes), reply: { error: String(bytes) } })),
  fc.integer().map((number) => ({ bytes: sentLine(":", String(number)), reply: number })),
  fc.boolean().map((is) => ({ bytes: sentLine("#", is ? "t" : "f"), reply: is ? 1 : 0 })),
  fc.constantFrom("_\r\n", "$-1\r\n", "*-1\r\n").map((text) => ({ bytes: Buffer.from(text), reply: null })),
  fc.constant({ bytes: Buffer.from(",1.5\r\n"), reply: 1.5 }),
  fc.constant({ bytes: Buffer.from(",-inf\r\n"), reply: Number.NEGATIVE_INFINITY }),
);

function manyOf(kind: string, items: readonly Sent[], count = items.length): Sent {
  const bytes = Buffer.concat([Buffer.from(`${kind}${count}\r\n`), ...items.map((item) => item.bytes)]);
  return { bytes, reply: items.map(({ reply }) => reply) };
}

const { any } = fc.letrec<{ any: Sent }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    single,
    fc.array(tie("any"), { maxLength: 4 }).map((items) => manyOf("*", items)),
    fc.array(tie("any"), { maxLength: 4 }).map((items) => manyOf("~", items)),
    fc.array(fc.tuple(single, tie("any")), { maxLength: 3 }).map((pairs) => manyOf("%", pairs.flat(), pairs.length)),
    fc.tuple(single, tie("any")).map(([about, item]) => {
      return { bytes: Buffer.concat([manyOf("|", [about, about], 1).bytes, item.bytes]), reply: item.reply };
    }),
  ),
}));
const told = fc
  .array(any, { minLength: 1, maxLength: 3 })
  .map((items) => ({ ...manyOf(">", items), isPush: true as const }));
const stream = fc.array(
  fc.oneof(
    any.map((sent) => ({ ...sent, isPush: false as const })),
    told,
  ),
  {
    maxLength: 12,
  },
);

/** Bytes are good only in the turn that they come in. */
function plain(reply: RedisReply | readonly RedisReply[]): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString("hex");
  if (reply instanceof RedisError) return { error: reply.message };
  return Array.isArray(reply) ? reply.map((item: RedisReply) => plain(item)) : reply;
}

function read(chunks: readonly Buffer[]): unknown[] {
  const found: unknown[] = [];
  const reader = new ReplyReader({
    onReply: (reply) => found.push({ reply: plain(reply), isPush: false }),
    onPush: (push) => found.push({ reply: plain(push), isPush: true }),
  });
  for (const chunk of chunks) reader.take(chunk);
  return found;
}

it("reads replies and what is told between them, in their order, however they are split", () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(), { maxLength: 20 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map((one) => one.bytes));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
      const chunks = places.slice(1).map((end, i) => Buffer.from(bytes.subarray(places[i], end)));
      const right = sent.map(({ reply, isPush }) => ({ reply, isPush }));
      expect(read(chunks)).toEqual(right);
      expect(read([bytes])).toEqual(right);
      expect(read(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(right);
    }),
    { numRuns: 300 },
  );
});

it("tells what stands within a reply before the reply, of which it is no part, as Redis 6 puts it there", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(any, fc.option(told)), { minLength: 1, maxLength: 8 }), fc.nat(), (items, cut) => {
      const bytes = Buffer.concat([
        Buffer.from(`*2\r\n*${items.length}\r\n`),
        ...items.flatMap(([item, push]) => (push === null ? [item.bytes] : [push.bytes, item.bytes])),
        Buffer.from(":7\r\n"),
      ]);
      const pushes = items.flatMap(([, push]) => (push === null ? [] : [{ reply: push.reply, isPush: true }]));
      const right = [...pushes, { reply: [items.map(([item]) => item.reply), 7], isPush: false }];
      const at = cut % bytes.length;
      expect(read([Buffer.from(bytes.subarray(0, at)), Buffer.from(bytes.subarray(at))])).toEqual(right);
    }),
  );
});

it.each([
  ["a kind that there is not", "?1\r\n"],
  ["a length that is no number", "$1x\r\n"],
  ["no length", "$\r\n"],
  ["a length past all bounds", "$99999999999\r\n"],
  ["bytes that do not end where they should", "$1\r\nabc\r\n"],
  ["a line that ends otherwise", "+a\rb"],
  ["a line without an end", `+${"a".repeat(70_000)}`],
  ["arrays without an end", "*1\r\n".repeat(50)],
])("refuses %s", (_what, text) => {
  expect(() => read([Buffer.from(text)])).toThrow(expect.objectContaining({ name: "ReplyProtocolError" }) as Error);
});

it.each([
  ["one large string", 1],
  ["many strings", 500],
])("reads a large reply of %s, in many parts, in time that grows with its length", (_what, count) => {
  const timeOf = (length: number): number => {
    const bulk = sentBulk("$", Buffer.alloc(length / count, "a"));
    const bytes = Buffer.concat([Buffer.from(`*${count}\r\n`), ...Array.from({ length: count }, () => bulk)]);
    const chunks = Array.from({ length: Math.ceil(bytes.length / 4096) }, (_, i) =>
      bytes.subarray(i * 4096, (i + 1) * 4096),
    );
    let found = 0;
    const reader = new ReplyReader({ onReply: (reply) => (found += (reply as Buffer[]).length), onPush: () => {} });
    const beganMs = performance.now();
    for (const chunk of chunks) reader.take(chunk);
    expect(found).toBe(count);
    return performance.now() - beganMs;
  };
  timeOf(1_000_000);
  // Each part once more for each that came before it would be a minute.
  expect(timeOf(20_000_000)).toBeLessThan(2000);
});
