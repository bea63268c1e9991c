/** What is kept of vectors; that they are what a read gives is `test/platform/kept-vectors.test.ts`. */
import { expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import { ReadMarks } from "../../src/ingest/read-marks.ts";
import type { EntityKey } from "../../src/schema/entity-key.ts";
import { KeptVectors } from "../../src/serve/kept-vectors.ts";
import type { VectorValues } from "../../src/serve/vector-buffer.ts";
import type { VectorPlan } from "../../src/serve/vector-plan.ts";

it("a vector that changes again and again takes no room from those that stand", () => {
  const marks = new ReadMarks();
  const plan = {
    program: null,
    features: [{ view: 0, slot: 0 }],
    views: [
      {
        entity: 0,
        view: { mark: (key: EntityKey) => marks.get(key) },
        buffer: { stableUntils: [Number.POSITIVE_INFINITY] },
      },
    ],
  } as unknown as VectorPlan;
  const now = 1 as Micros;
  const kept = new KeptVectors(20_000);
  const read = (key: string): void => {
    if (kept.find(plan, [key as EntityKey], now) !== null) return;
    kept.keep(plan, [key as EntityKey], {
      asOf: now,
      values: [1],
      statuses: [0],
      codes: null,
      texts: null,
    } as VectorValues);
  };
  read("steady");
  for (let i = 0; i < 1000; i++) {
    read("hot");
    marks.changed("hot" as EntityKey);
  }
  expect(kept.find(plan, ["steady" as EntityKey], now)).not.toBeNull();
  // Those that do take room still push the oldest out.
  for (let i = 0; i < 1000; i++) read(`u${i}`);
  expect(kept.find(plan, ["steady" as EntityKey], now)).toBeNull();
});
