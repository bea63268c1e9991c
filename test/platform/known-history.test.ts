/** What is known of a source's history while its archive cannot be asked. */
import { expect, it } from "vitest";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import { historyTakenUp, rememberImporting, rememberTakenUp } from "../../src/platform/known-history.ts";

it("is nothing before it was taken up, and nothing while an import may have added to it", async () => {
  const store = new MemoryOnlineStore();
  expect(historyTakenUp(store, "visits")).toBeNull();
  await rememberTakenUp(store, "visits", Number.NEGATIVE_INFINITY);
  expect(historyTakenUp(store, "visits")).toBe(Number.NEGATIVE_INFINITY);
  await rememberImporting(store, "visits");
  expect(historyTakenUp(store, "visits")).toBeNull();
  expect(historyTakenUp(store, "sales"), "of another source").toBeNull();
  await rememberTakenUp(store, "visits", 7_000_000);
  expect(historyTakenUp(store, "visits")).toBe(7_000_000);
});
