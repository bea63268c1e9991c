import { appendFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import {
  decodeServedVector,
  encodeServedVector,
  readServingLog,
  type ServedVector,
} from "../../src/schema/served-vector.ts";
import type { Value } from "../../src/schema/value.ts";

const scalar: fc.Arbitrary<Value> = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, Number.NaN, Infinity, -Infinity, 5e-324, 0.1 + 0.2),
  fc.maxSafeInteger(),
  fc.string({ unit: "binary" }),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array().map((bytes) => new Uint8Array(bytes)),
);
const value = fc.oneof(scalar, fc.array(scalar), fc.array(fc.array(scalar)));
const vector: fc.Arbitrary<ServedVector> = fc
  .tuple(fc.string(), fc.dictionary(fc.string({ minLength: 1 }), fc.string()), fc.array(value))
  .map(([service, keys, values]) => ({
    service,
    keys: { ...keys },
    token: { asOf: 1_700_000_000_000_001 as Micros, reads: [{ view: "v@1", epoch: 2, lastOffset: null }] },
    features: values.map((_, i) => `v@1:f${i}`),
    values,
    statuses: values.map((_, i) => i % 5),
  }));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "serving-log-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function readAll(): Promise<ServedVector[]> {
  const all: ServedVector[] = [];
  for await (const each of readServingLog(folder)) all.push(each);
  return all;
}

describe("serving log lines", () => {
  it("read back bit for bit", () => {
    fc.assert(
      fc.property(vector, (original) => {
        const line = encodeServedVector(original);
        expect(line).not.toContain("\n");
        const decoded = decodeServedVector(line);
        // toEqual tells 0 from -0 and knows NaN
        expect(decoded.values).toEqual(original.values);
        expect(decoded.token).toEqual(original.token);
        expect(decoded.service).toBe(original.service);
        expect(Object.entries(decoded.keys)).toEqual(Object.entries(original.keys));
      }),
    );
  });

  it("are refused when their lists differ in length or they are not JSON", () => {
    for (const line of ["{", "[]", '{"service":"s","keys":{},"token":"x"}', '{"service":"s"}']) {
      expect(() => decodeServedVector(line, "f:1")).toThrowError(expect.objectContaining({ code: "LOG_CORRUPT" }));
    }
    const [sample] = fc.sample(vector, 1);
    const line = encodeServedVector({ ...sample!, values: [1], features: ["v@1:a"], statuses: [0] });
    expect(() => decodeServedVector(line.replace('"statuses":[0]', '"statuses":[]'))).toThrowError(
      expect.objectContaining({ code: "LOG_CORRUPT" }),
    );
  });

  it("come from all segments in the order of their names, without a torn last line", async () => {
    const [sample] = fc.sample(vector, 1);
    const line = (service: string): string => encodeServedVector({ ...sample!, service });
    await writeFile(join(folder, "b.ndjson"), `${line("third")}\n`);
    await writeFile(join(folder, "a.ndjson"), `${line("first")}\n${line("second")}\n${line("torn").slice(0, 40)}`);
    await writeFile(join(folder, "notes.txt"), "not a segment");
    expect((await readAll()).map((each) => each.service)).toEqual(["first", "second", "third"]);
  });

  it("say where a damaged line stands", async () => {
    const [sample] = fc.sample(vector, 1);
    await writeFile(join(folder, "a.ndjson"), `${encodeServedVector(sample!)}\n`);
    await appendFile(join(folder, "a.ndjson"), "garbage\n");
    await expect(readAll()).rejects.toMatchObject({ code: "LOG_CORRUPT", where: join(folder, "a.ndjson:2") });
  });

  it("go on behind a segment that is removed as the oldest meanwhile, and are refused with a code where one cannot be read", async () => {
    const [sample] = fc.sample(vector, 1);
    const line = (service: string): string => `${encodeServedVector({ ...sample!, service })}\n`;
    for (const name of ["a", "b", "c"]) await writeFile(join(folder, `${name}.ndjson`), line(name));
    const read: string[] = [];
    for await (const { service } of readServingLog(folder)) {
      read.push(service);
      await rm(join(folder, "b.ndjson"), { force: true });
    }
    expect(read).toEqual(["a", "c"]);
    await mkdir(join(folder, "d.ndjson"));
    await expect(readAll()).rejects.toMatchObject({ code: "FILE_UNREADABLE", where: join(folder, "d.ndjson") });
  });

  it("are none where there is no folder", async () => {
    await rm(folder, { recursive: true });
    expect(await readAll()).toEqual([]);
  });
});
