/** States of one entity removed, on each local store: others stay, and what was removed is gone for whoever opens it next. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLmdbStore } from "../../src/online-store/lmdb.ts";
import { MemoryOnlineStore } from "../../src/online-store/memory.ts";
import type { LocalOnlineStore } from "../../src/online-store/online-store.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-removed-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const STORES: readonly [string, () => Promise<LocalOnlineStore>][] = [
  ["memory", async () => new MemoryOnlineStore()],
  ["LMDB", async () => openLmdbStore({ folder: join(folder, "store") })],
];

describe("states that are removed", () => {
  it.each(STORES)("are gone from %s with their metas, and no others", async (name, open) => {
    let store = await open();
    const bytes = Uint8Array.of(1, 2);
    const states = ["v@1#0", "v@1#1"].flatMap((space) =>
      ["ada", "ada2", "bob"].map((key) => ({ space, key, epoch: 0, offset: 7, bytes })),
    );
    await store.commitAlone(states, [{ name: "note/ada", bytes }]);
    await store.removeStates(
      [
        { space: "v@1#0", key: "ada" },
        { space: "v@1#0", key: "never there" },
      ],
      [
        { name: "note/ada", bytes: null },
        { name: "note/bob", bytes },
      ],
    );
    for (let opening = 0; opening < 2; opening++) {
      expect([...store.scan("v@1#0")].map(({ key }) => key)).toEqual(["ada2", "bob"]);
      expect([...store.scan("v@1#1")].map(({ key }) => key)).toEqual(["ada", "ada2", "bob"]);
      expect([...store.scanMeta("note/")].map((meta) => meta.name)).toEqual(["note/bob"]);
      if (name === "memory") break;
      await store.close();
      store = await open();
    }
    // An older one than what was removed may come again: nothing is stored that it could be older than.
    expect(await store.commit([{ ...states[0]!, offset: 1 }], [])).toEqual([]);
    await store.close();
  });
});
