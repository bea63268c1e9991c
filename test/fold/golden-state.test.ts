/**
 * Bytes of states and bits of values for fixed seeds, as they were once and must stay: on every Node
 * version, on every machine, after every change.
 *
 * A change that is meant to alter them needs a new STATE_CODEC_VERSION; ONEFOLD_WRITE_GOLDEN=1 then writes
 * the file anew.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { STATE_CODEC_VERSION } from "../../src/fold/state-codec.ts";
import { createReadBuffer } from "../../src/fold/view-fold.ts";
import type { Value } from "../../src/schema/value.ts";
import { randomEvents } from "../../src/testing/event-generator.ts";
import { type GeneratedAggregations, randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { SeededRandom } from "../../src/testing/random.ts";

const FILE = new URL("golden-states.json", import.meta.url);
const SEEDS = Array.from({ length: 60 }, (_, i) => 1000 + i);

/** SHA-256 over the state's bytes and all values, at several points of 1,500 events of three entities. */
function digestOf(seed: number, aggregations: GeneratedAggregations): string {
  const random = new SeededRandom(seed);
  const view = randomView(random, aggregations);
  const fold = compileViewFold(view, generatedSource, generatedEntity);
  const states = new Map(["a", "b", "c"].map((key) => [key, fold.empty()]));
  const buffer = createReadBuffer(view.features.length);
  const hash = createHash("sha256");
  for (const [i, event] of randomEvents(random, 1500, ["a", "b", "c"]).entries()) {
    const state = states.get(event.key)!;
    fold.fold(state, event);
    if (i % 100 !== 99) continue;
    hash.update(fold.encode(state));
    fold.read(state, (event.knownTime + random.integer(0, 10_000_000)) as Micros, buffer);
    for (const value of [...buffer.values, ...buffer.windowStarts, ...buffer.statuses]) hash.update(bitsOf(value));
  }
  return hash.digest("hex");
}

function bitsOf(value: Value): Uint8Array {
  if (typeof value === "number") return new Uint8Array(Float64Array.of(value).buffer);
  if (value instanceof Uint8Array) return value;
  return Buffer.from(JSON.stringify(value) ?? "", "utf16le");
}

describe("bit identity", () => {
  it("holds against the digests of the golden file", () => {
    const found = {
      codec: STATE_CODEC_VERSION,
      digests: Object.fromEntries(SEEDS.map((seed) => [seed, digestOf(seed, "basic")])),
      summaries: Object.fromEntries(SEEDS.map((seed) => [seed, digestOf(seed, "summaries")])),
      sessions: Object.fromEntries(SEEDS.map((seed) => [seed, digestOf(seed, "sessions")])),
    };
    if (process.env["ONEFOLD_WRITE_GOLDEN"] === "1") writeFileSync(FILE, `${JSON.stringify(found, null, 2)}\n`);
    expect(found).toEqual(JSON.parse(readFileSync(FILE, "utf8")));
  });
});
