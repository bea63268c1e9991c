/** States that stand in the store in parts, as a worker reads them beside the owner that writes them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readStoredView } from "../../../src/ingest/stored-view.ts";
import { openLmdbStore } from "../../../src/online-store/lmdb.ts";
import { StoredViews } from "../../../src/platform/workers/stored-views.ts";
import type { CatalogView } from "../../../src/platform/view-catalog.ts";
import { ForgetfulStorage } from "../../../src/testing/forgetful-storage.ts";
import { firstSeed } from "../../first-seed.ts";
import {
  expectedStates,
  hex,
  logOf,
  openPayments,
  payment,
  payments,
  pipelineView,
  randomFrom,
  SECOND,
  shopView,
  TestClock,
  userView,
} from "../../ingest/payments.ts";

it("are the states of all events below the view's position, at every moment", { timeout: 240_000 }, async () => {
  const second = { ...userView, name: "second", offline: false };
  const definitions = [userView, second, shopView];
  const first = firstSeed();
  let beside = 0;
  for (let round = 0; round < 4; round++) {
    const seed = first + round;
    const random = randomFrom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const folder = await mkdtemp(join(tmpdir(), "onefold-stored-tails-"));
    const store = openLmdbStore({ folder });
    const clock = new TestClock();
    const pipeline = await openPayments(
      { storage: new ForgetfulStorage(), store, clock },
      {
        views: definitions.map(pipelineView),
        statesPerCommit: round % 2 === 0 ? 0 : 1000,
        tailLimits: { eventsMax: below(6), shareMax: Number.POSITIVE_INFINITY },
      },
    );
    await pipeline.drain();
    const reader = openLmdbStore({ folder, readOnly: true });
    // Little is kept decoded in half of them.
    const views = new StoredViews(reader, random() < 0.5 ? 1000 : undefined);
    const served = definitions.map((definition) => {
      const { entity, fold } = pipelineView(definition);
      const name = `${definition.name}@1`;
      const catalogView: CatalogView = { name, definition, entity, source: payments, fingerprint: "", fold };
      return views.view(catalogView);
    });
    for (let step = 0; step < 60; step++) {
      clock.time += below(SECOND);
      const rows = Array.from({ length: 1 + below(3) }, (_, i) =>
        payment(step * 3 + i, { user: `u${below(3)}`, amount: random() < 0.2 ? 13 : 1 }),
      );
      await pipeline.push(rows);
      if (random() < 0.3) await pipeline.drain();
      const events = await logOf(pipeline);
      views.renew();
      for (const view of served) {
        const { position } = readStoredView(reader, `${view.definition.name}@1`)!;
        const expected = expectedStates(view.definition, events.slice(0, position));
        const found = Object.keys(expected).map((key) => [key, hex(view.fold.encode(view.state(key)!))]);
        expect(Object.fromEntries(found), `${view.definition.name}, seed ${seed}`).toEqual(expected);
        if (position < events.length) beside++;
      }
    }
    await reader.close();
    await pipeline.close();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
  // Some were read while the owner had folded more than it had written.
  expect(beside).toBeGreaterThan(0);
});
