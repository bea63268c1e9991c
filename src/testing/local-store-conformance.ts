/** What online stores on the process's own machine must do beyond `online-store-conformance.ts`. */
import { deepStrictEqual } from "node:assert";
import type { LocalOnlineStore } from "../online-store/online-store.ts";
import { all, bytes, type ConformanceCase, text, write } from "./conformance-case.ts";

export const localOnlineStoreCases: readonly ConformanceCase<LocalOnlineStore>[] = [
  {
    name: "synchronous reads give what asynchronous ones do",
    durable: false,
    async run(open) {
      const store = await open();
      await store.commitAlone([write("s", "b", "two", 2), write("s", "a", "one", 1)], [{ name: "m", bytes: bytes(7) }]);
      deepStrictEqual(text(store.get("s", "a")), "one");
      deepStrictEqual(store.get("s", "c"), null);
      deepStrictEqual(store.getMeta("m"), bytes(7));
      deepStrictEqual(store.getMeta("n"), null);
      deepStrictEqual([...store.scan("s")], await all(store.scanStates("s")));
      deepStrictEqual([...store.scan("s", "a")], await all(store.scanStates("s", "a")));
      deepStrictEqual([...store.scanMeta("")], await all(store.scanMetas("")));
      deepStrictEqual(store.count("s"), 2);
      const first = store.get("s", "a")!;
      first[0] = 9;
      deepStrictEqual(text(store.get("s", "a")), "one");
      await store.close();
    },
  },
  {
    name: "lent bytes are those of a read, at any size, until the next",
    durable: false,
    async run(open) {
      const store = await open();
      const sizes = [0, 1, 8, 500, 1500, 5000, 100_000];
      const values = sizes.map((size) => new Uint8Array(size).map((_, i) => (i * 7 + size) % 251));
      await store.commitAlone(
        values.map((value, i) => ({ ...write("s", `k${i}`, "", i), bytes: value })),
        [],
      );
      deepStrictEqual(store.lend("s", "nobody"), null);
      for (const [i, value] of [...values, ...values].entries()) {
        const lent = store.lend("s", `k${i % sizes.length}`)!;
        deepStrictEqual(lent.length, value.length);
        deepStrictEqual(Buffer.compare(lent, value), 0);
      }
      await store.close();
    },
  },
  {
    name: "the only writer's commits land without a look, and count for those that look",
    durable: false,
    async run(open) {
      const store = await open();
      await store.commitAlone([write("s", "a", "five", 5)], []);
      deepStrictEqual(await store.commit([write("s", "a", "four", 4)], []), [
        { index: 0, stored: { epoch: 0, offset: 5 } },
      ]);
      await store.commitAlone([write("s", "a", "three", 3)], []);
      deepStrictEqual(text(store.get("s", "a")), "three");
      await store.close();
    },
  },
  {
    name: "concurrent commits are each whole, over several entities too, and the later one wins",
    durable: false,
    async run(open) {
      const store = await open();
      const commits = Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? store.commit.bind(store) : store.commitAlone.bind(store))(
          [write("s", `${i % 2}a`, `v${i}`, i), write("s", `${i % 2}b`, `v${i}`, i)],
          [{ name: `n${i % 2}`, bytes: bytes(i) }],
        ),
      );
      while (store.getMeta("n0")?.[0] !== 38 || store.getMeta("n1")?.[0] !== 39) {
        for (const n of [0, 1]) deepStrictEqual(text(store.get("s", `${n}a`)), text(store.get("s", `${n}b`)));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(commits);
      deepStrictEqual(text(store.get("s", "0a")), "v38");
      deepStrictEqual(text(store.get("s", "1a")), "v39");
      await store.close();
    },
  },
];
