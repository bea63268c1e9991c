import { describe, expect, it } from "vitest";
import type { ViewState } from "../../../src/fold/view-fold.ts";
import { FoldedSampler } from "../../../src/monitor/drift/folded-sampler.ts";
import { TestClock, pipelineView, shopView, userView } from "../../ingest/payments.ts";

const views = [userView, shopView, { ...userView, name: "other" }].map((definition) => pipelineView(definition));

/** Of an entity that has no events, but for when its last one became known. */
function stateOf(view: (typeof views)[number]): ViewState {
  return Object.assign(view.fold.empty(), { lastKnownTime: new TestClock().now() });
}

describe("what is folded", () => {
  it("is in one window alone, also what comes while windows are taken, a view a turn", async () => {
    const sampler = new FoldedSampler(1, Math.random);
    const seeAll = (): void => {
      for (const view of views) sampler.see(view, stateOf(view));
    };
    seeAll();
    const taking = sampler.take();
    const turns = 2 * views.length;
    for (let turn = 0; turn < turns; turn++) {
      seeAll();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const windows = [...(await taking), ...(await sampler.take())];
    for (const view of views) {
      const own = windows.filter(({ service }) => service === `${view.definition.name}@1`);
      expect(own.reduce((sum, { vectors }) => sum + vectors, 0)).toBe(1 + turns);
    }
  });

  it("is gone where it is forgotten while windows are taken", async () => {
    const sampler = new FoldedSampler(1, Math.random);
    for (const view of views) sampler.see(view, stateOf(view));
    const taking = sampler.take();
    sampler.forget();
    expect(await taking).toEqual([]);
    expect(await sampler.take()).toEqual([]);
  });
});
