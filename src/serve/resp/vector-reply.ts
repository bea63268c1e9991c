/**
 * A feature vector as a reply: each value in the type that RESP has for it, or all of them packed.
 *
 * | type           | RESP2                          | RESP3                       |
 * |----------------|--------------------------------|-----------------------------|
 * | float64        | shortest decimal text          | double                      |
 * | int64          | decimal text                   | number                      |
 * | int64 wide     | decimal text                   | big number: none rounds it  |
 * | bool           | `true`, `false`                | boolean                     |
 * | string         | bulk string                    | bulk string                 |
 * | timestamp      | RFC 3339 text                  | RFC 3339 text               |
 * | bytes          | bulk string, the bytes as they are | the same                |
 * | array          | array of the element's replies | the same                    |
 * | null           | nil                            | null                        |
 */
import { OnefoldError } from "../../base/errors.ts";
import { formatMicros, type Micros } from "../../base/micros.ts";
import { describeType, type Value, type ValueType } from "../../schema/value.ts";
import type { FeatureVector } from "../vector-buffer.ts";
import type { VectorPlan } from "../vector-plan.ts";
import type { AnswerBytes } from "../answer-bytes.ts";
import { areFinite } from "../features-bytes.ts";
import { snapshotAgeMs } from "../snapshot-age.ts";
import { encodeText } from "./byte-string.ts";
import type { Protocol, ReplyWriter } from "./reply-writer.ts";

/** Plans of plain numbers, which are written all at once. */
const arePlain = new WeakMap<VectorPlan, boolean>();

/** The reply to `FGET`: values in the service's order. */
export function writeVector(plan: VectorPlan, vector: FeatureVector, { written, protocol }: ReplyWriter): void {
  let isPlain = arePlain.get(plan);
  if (isPlain === undefined) arePlain.set(plan, (isPlain = plan.outputs.every(({ type }) => isPlainNumber(type))));
  if (isPlain && areFinite(vector)) writeNumbers(plan, vector, protocol, written);
  else written.latin1(formatVector(plan, vector, protocol));
}

function isPlainNumber(type: ValueType): boolean {
  return type.name === "float64" || type.name === "bool" || (type.name === "int64" && type.wide !== true);
}

/** What a value is longer by than its text at most: `$25\r\n` before it, and a line end. */
const AROUND_BYTES = 7;
const COMMA = 0x2c;
const NULL_BEGUN = 0x6e;
const TRUE_BEGUN = 0x74;
const FALSE_BEGUN = 0x66;
const ZERO = 0x30;

/**
 * The values' texts as one list (see `features-bytes.ts` on why), put behind where the reply will end, and each of them moved
 * to its place.
 */
function writeNumbers({ outputs }: VectorPlan, { values }: FeatureVector, protocol: Protocol, out: AnswerBytes): void {
  out.latin1(`*${outputs.length}\r\n`);
  const list = JSON.stringify(values);
  const block = out.room(AROUND_BYTES * outputs.length + list.length);
  const start = out.length;
  const listAt = start + AROUND_BYTES * outputs.length;
  const listEnd = listAt + block.write(list, listAt, "latin1") - 1;
  let at = start;
  for (let output = 0, from = listAt + 1; output < outputs.length; output++) {
    let end = from + 1;
    while (end < listEnd && block[end] !== COMMA) end++;
    at = protocol === 3 ? begin3(block, at, block[from]!, outputs[output]!.type) : begin2(block, at, from, end);
    const isWord = protocol === 3 ? block[from]! >= FALSE_BEGUN : block[from] === NULL_BEGUN;
    if (!isWord) for (; from < end; from++) block[at++] = block[from]!;
    block[at++] = 0x0d;
    block[at++] = 0x0a;
    from = end + 1;
  }
  out.wrote(at - start);
}

/** Length and line end of the text in `[from, end)`; of null all but its line end. */
function begin2(block: Uint8Array, to: number, from: number, end: number): number {
  const length = end - from;
  let at = to;
  block[at++] = 0x24;
  if (block[from] === NULL_BEGUN) {
    block[at++] = 0x2d;
    block[at++] = ZERO + 1;
    return at;
  }
  if (length >= 10) block[at++] = ZERO + Math.floor(length / 10);
  block[at++] = ZERO + (length % 10);
  block[at++] = 0x0d;
  block[at++] = 0x0a;
  return at;
}

/** The sign of a text that begins with `first`; of null, true and false all but the line end. */
function begin3(block: Uint8Array, to: number, first: number, { name }: ValueType): number {
  let at = to;
  if (first === NULL_BEGUN) block[at++] = 0x5f;
  else if (first === TRUE_BEGUN || first === FALSE_BEGUN) {
    block[at++] = 0x23;
    block[at++] = first;
  } else block[at++] = name === "float64" ? COMMA : 0x3a;
  return at;
}

/** The same as a byte string. */
function formatVector(plan: VectorPlan, vector: FeatureVector, protocol: Protocol): string {
  const { outputs } = plan;
  const { values } = vector;
  let reply = `*${outputs.length}\r\n`;
  for (let i = 0; i < outputs.length; i++) reply += formatValue(values[i]!, outputs[i]!.type, protocol);
  return reply;
}

function formatValue(value: Value, type: ValueType, protocol: Protocol): string {
  if (value === null) return protocol === 3 ? "_\r\n" : "$-1\r\n";
  switch (type.name) {
    case "float64":
      return protocol === 3 ? `,${doubleText(value as number)}\r\n` : bulk(String(value));
    case "int64":
      if (protocol === 2) return bulk(String(value));
      return type.wide === true ? `(${String(value)}\r\n` : `:${String(value)}\r\n`;
    case "bool":
      return protocol === 2 ? bulk(String(value)) : value === true ? "#t\r\n" : "#f\r\n";
    case "string":
      return bulk(encodeText(value as string));
    case "timestamp":
      return bulk(formatMicros(value as Micros));
    case "bytes":
      return bulk(Buffer.from(value as Uint8Array).toString("latin1"));
    case "array": {
      const elements = value as readonly Value[];
      let reply = `*${elements.length}\r\n`;
      for (const element of elements) reply += formatValue(element, type.element, protocol);
      return reply;
    }
  }
}

/** What stands before a bulk string, by its length: that of most values. */
const BULK_HEADS: readonly string[] = Array.from({ length: 32 }, (_, length) => `$${length}\r\n`);

function bulk(bytes: string): string {
  const { length } = bytes;
  const head = length < BULK_HEADS.length ? BULK_HEADS[length]! : `$${length}\r\n`;
  return `${head}${bytes}\r\n`;
}

/** RESP3 has names of its own for what is not finite. */
function doubleText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

const FLOAT64: ValueType = { name: "float64" };

/** The first of two elements, the second of which is to follow: how old the states are, in milliseconds; null as `snapshotAgeMs`. */
export function writeAge(plan: VectorPlan, asOf: Micros, out: ReplyWriter): void {
  out.array(2);
  out.raw(formatValue(snapshotAgeMs(plan, asOf), FLOAT64, out.protocol));
}

/** Plans whose every feature fits a float64, or why one does not. */
const packings = new WeakMap<VectorPlan, OnefoldError | "fits">();

/**
 * The reply to `FGETPACKED`, for a vector of n features: n little-endian float64s in the service's order, then
 * ceil(n / 8) bytes, in which bit `i % 8` (from the lowest) of byte `i / 8` is 1 where value i is null; its
 * float64 is NaN then. int64 is exact, bool 1 or 0, a timestamp microseconds since the epoch.
 */
export function writePackedVector({ values }: FeatureVector, out: ReplyWriter): void {
  const length = values.length;
  const view = out.reserveBulk(8 * length + ((length + 7) >> 3));
  let nulls = 0;
  for (let i = 0; i < length; i++) {
    const value = values[i]!;
    if (value === null) nulls |= 1 << (i & 7);
    view.setFloat64(8 * i, value === null ? Number.NaN : Number(value), true);
    if ((i & 7) === 7 || i === length - 1) {
      view.setUint8(8 * length + (i >> 3), nulls);
      nulls = 0;
    }
  }
}

/** Throws `FEATURE_NOT_NUMERIC`, naming the features that cannot be packed; to be asked before a vector is read. */
export function requirePackable(plan: VectorPlan): void {
  let found = packings.get(plan);
  if (found === undefined) packings.set(plan, (found = packingOf(plan)));
  if (found !== "fits") throw found;
}

function packingOf(plan: VectorPlan): OnefoldError | "fits" {
  const others = plan.outputs.filter(({ type }) => !isPackable(type));
  if (others.length === 0) return "fits";
  const named = others.map(({ name, type: of }) => {
    const { type, wide } = describeType(of);
    return `${name} (${wide === true ? "wide " : ""}${type})`;
  });
  const names = named.join(", ");
  return new OnefoldError("FEATURE_NOT_NUMERIC", `a packed vector holds numbers, and ${plan.service} has ${names}`, {
    where: plan.service,
    hint: "ask with FGET, or pack a service of numeric features alone",
  });
}

export function isPackable(type: ValueType): boolean {
  switch (type.name) {
    case "float64":
    case "bool":
    case "timestamp":
      return true;
    case "int64":
      return type.wide !== true;
    default:
      return false;
  }
}
