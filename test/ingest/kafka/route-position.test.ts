import { expect, it } from "vitest";
import { RoutePosition } from "../../../src/ingest/kafka/route-position.ts";

it("begins at the oldest record, or where the group stands, for all topics alike", () => {
  const fresh = new RoutePosition(null, ["a", "b"], 7);
  expect([fresh.live, fresh.behind]).toEqual([7, null]);
  expect([fresh.isDue("a", "live", 7), fresh.isDue("a", "behind", 7)]).toEqual([true, false]);
  const unnoted = new RoutePosition({ offset: 40, note: null }, ["a", "b"], 7);
  expect([unnoted.live, unnoted.behind]).toEqual([40, null]);
  expect(new RoutePosition(unnoted.noted, ["a", "b"], 7).live).toBe(40);
});

it("reads in a second place for a topic that comes later, until it has caught up", () => {
  const one = new RoutePosition(null, ["a"], 0);
  one.advance("live", 100);
  const later = new RoutePosition(one.noted, ["a", "b"], 3);
  expect([later.live, later.behind]).toEqual([100, 3]);
  expect([later.isDue("a", "live", 100), later.isDue("b", "live", 100)]).toEqual([true, false]);
  expect([later.isDue("a", "behind", 50), later.isDue("b", "behind", 50)]).toEqual([false, true]);
  // Not noted yet: the oldest record may be gone by the time that it is appended.
  expect(new RoutePosition(later.noted, ["a", "b"], 5).behind).toBe(5);
  later.advance("live", 120);
  later.advance("behind", 60);
  expect(later.noted.offset).toBe(60);
  const again = new RoutePosition(later.noted, ["a", "b"], 3);
  expect([again.live, again.behind]).toEqual([120, 60]);
  again.advance("behind", 120);
  expect([again.live, again.behind, again.isDue("b", "live", 120)]).toEqual([120, null, true]);
});

it("hands on what it does not know, so that a topic that was not routed for a while goes on where it was", () => {
  const both = new RoutePosition(null, ["a", "b"], 0);
  both.advance("live", 20);
  const without = new RoutePosition(both.noted, ["a"], 0);
  expect([without.live, without.behind]).toEqual([20, null]);
  without.advance("live", 90);
  const again = new RoutePosition(without.noted, ["a", "b"], 0);
  expect([again.live, again.behind]).toEqual([90, 20]);
  expect([again.isDue("b", "behind", 19), again.isDue("b", "behind", 20)]).toEqual([false, true]);
});

it("takes no more of a note than the broker keeps by default, for a hundred topics", () => {
  const ids = Array.from({ length: 100 }, (_, i) => `topic-${i}`);
  const far = new RoutePosition(null, ids, 0);
  far.advance("live", 9_007_199_254_740_991);
  expect(far.noted.note!.length).toBeLessThan(4096);
});
