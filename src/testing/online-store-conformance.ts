/**
 * What every online store must do, as cases a test runner can run: each throws when the store does not.
 *
 * A case gets `open`, which opens the same stored data each time it is called; for a store without
 * durability only the cases with `durable: false` apply.
 */
import { deepStrictEqual } from "node:assert";
import type { OnlineStore, StateWrite } from "../online-store/online-store.ts";

export interface ConformanceCase {
  readonly name: string;
  /** Needs what was committed to be there when the store is opened again. */
  readonly durable: boolean;
  run(open: () => OnlineStore): Promise<void>;
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);
const text = (value: Uint8Array | null): string | null =>
  value === null ? null : Buffer.from(value).toString("latin1");
const write = (space: string, key: string, value: string | null): StateWrite => {
  return { space, key, bytes: value === null ? null : new Uint8Array(Buffer.from(value, "latin1")) };
};

export const onlineStoreCases: readonly ConformanceCase[] = [
  {
    name: "what was never written is null and empty",
    durable: false,
    async run(open) {
      const store = open();
      deepStrictEqual(store.get("v@1#0", "a"), null);
      deepStrictEqual(store.getMeta("m"), null);
      deepStrictEqual([...store.scan("v@1#0")], []);
      deepStrictEqual([...store.scanMeta("")], []);
      deepStrictEqual(store.count("v@1#0"), 0);
      await store.close();
    },
  },
  {
    name: "online store write and read: a commit's states and metas are there once it resolves",
    durable: false,
    async run(open) {
      const store = open();
      await store.commit(
        [write("v@1#0", "a", "one"), write("v@1#0", "b", "two")],
        [{ name: "position", bytes: bytes(7) }],
      );
      deepStrictEqual(text(store.get("v@1#0", "a")), "one");
      deepStrictEqual(text(store.get("v@1#0", "b")), "two");
      deepStrictEqual(store.getMeta("position"), bytes(7));
      await store.commit(
        [write("v@1#0", "a", "three"), write("v@1#0", "b", null)],
        [{ name: "position", bytes: null }],
      );
      deepStrictEqual(text(store.get("v@1#0", "a")), "three");
      deepStrictEqual(store.get("v@1#0", "b"), null);
      deepStrictEqual(store.getMeta("position"), null);
      await store.close();
    },
  },
  {
    name: "spaces and keys never run into one another, whatever characters they hold",
    durable: false,
    async run(open) {
      const store = open();
      const places = [
        ["v@1#0", "a"],
        ["v@1#0", ""],
        ["v@1", "#0a"],
        ["v@1#0a", ""],
        ["v@1#00", "a"],
        ["v@1#0", "a\0b"],
        ["v@1#0", "ключ|\\|🗝"],
        ["v@1#0", "k".repeat(1024)],
        [`${"s".repeat(198)}#0`, "k".repeat(1024)],
      ] as const;
      await store.commit(
        places.map(([space, key], i) => write(space, key, String(i))),
        [{ name: "v@1#0", bytes: bytes(1) }],
      );
      for (const [i, [space, key]] of places.entries()) deepStrictEqual(text(store.get(space, key)), String(i));
      deepStrictEqual(store.count("v@1#0"), 5);
      await store.close();
    },
  },
  {
    name: "scans give keys in the order of their bytes, beginning after a key",
    durable: false,
    async run(open) {
      const store = open();
      const keys = ["a", "b", "", "aa", "Z", "ü", "\u{ffff}", "\u{1f511}", "10", "9"];
      await store.commit(
        keys.map((key) => write("s", key, key.length.toString())),
        keys.map((key) => ({ name: `p/${key}`, bytes: bytes(key.length) })),
      );
      await store.commit([write("t", "zz", "x")], [{ name: "q", bytes: bytes(1) }]);
      const ordered = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      deepStrictEqual(
        [...store.scan("s")].map((entry) => entry.key),
        ordered,
      );
      deepStrictEqual(
        [...store.scan("s", "a")].map((entry) => entry.key),
        ordered.slice(ordered.indexOf("a") + 1),
      );
      deepStrictEqual(
        [...store.scan("s", "a0")].map((entry) => entry.key),
        ordered.slice(ordered.indexOf("aa")),
      );
      deepStrictEqual(
        [...store.scanMeta("p/")].map((entry) => entry.name),
        ordered.map((key) => `p/${key}`),
      );
      deepStrictEqual(
        [...store.scanMeta("p/", "p/b")].map((entry) => entry.name),
        ordered.slice(ordered.indexOf("b") + 1).map((key) => `p/${key}`),
      );
      deepStrictEqual(
        [...store.scan("s")].map((entry) => text(entry.bytes)),
        ordered.map((key) => String(key.length)),
      );
      await store.close();
    },
  },
  {
    name: "returned and given bytes belong to the caller",
    durable: false,
    async run(open) {
      const store = open();
      const given = bytes(1, 2, 3);
      await store.commit([{ space: "s", key: "k", bytes: given }, write("s", "l", "other")], []);
      given[0] = 9;
      const first = store.get("s", "k")!;
      store.get("s", "l");
      deepStrictEqual(first, bytes(1, 2, 3));
      first[1] = 9;
      deepStrictEqual(store.get("s", "k"), bytes(1, 2, 3));
      const scanned = [...store.scan("s")].map((entry) => entry.bytes);
      store.get("s", "l");
      deepStrictEqual(scanned[0], bytes(1, 2, 3));
      await store.close();
    },
  },
  {
    name: "a space is dropped whole, without touching another",
    durable: false,
    async run(open) {
      const store = open();
      const many = Array.from({ length: 25_000 }, (_, i) => write("v@1#1", `k${i}`, "x"));
      await store.commit(
        [...many, write("v@1#10", "k", "stays"), write("v@1#0", "k", "stays")],
        [{ name: "v@1#1", bytes: bytes(1) }],
      );
      deepStrictEqual(store.count("v@1#1"), 25_000);
      await store.dropSpace("v@1#1");
      deepStrictEqual(store.count("v@1#1"), 0);
      deepStrictEqual(text(store.get("v@1#10", "k")), "stays");
      deepStrictEqual(text(store.get("v@1#0", "k")), "stays");
      deepStrictEqual(store.getMeta("v@1#1"), bytes(1));
      await store.close();
    },
  },
  {
    name: "empty and large values come back as they were",
    durable: false,
    async run(open) {
      const store = open();
      const large = new Uint8Array(3_000_000).map((_, i) => i % 251);
      await store.commit(
        [
          { space: "s", key: "empty", bytes: bytes() },
          { space: "s", key: "large", bytes: large.slice() },
        ],
        [],
      );
      deepStrictEqual(store.get("s", "empty"), bytes());
      deepStrictEqual(Buffer.compare(store.get("s", "large")!, large), 0);
      await store.close();
    },
  },
  {
    name: "concurrent commits are each whole and the later one wins",
    durable: false,
    async run(open) {
      const store = open();
      const commits = Array.from({ length: 40 }, (_, i) =>
        store.commit([write("s", "a", `v${i}`), write("s", "b", `v${i}`)], [{ name: "n", bytes: bytes(i) }]),
      );
      while (store.getMeta("n")?.[0] !== 39) {
        deepStrictEqual(text(store.get("s", "a")), text(store.get("s", "b")));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(commits);
      deepStrictEqual(text(store.get("s", "a")), "v39");
      await store.close();
    },
  },
  {
    name: "online store write and read: what was committed is there when it is opened again",
    durable: true,
    async run(open) {
      let store = open();
      await store.commit([write("s", "a", "one")], [{ name: "n", bytes: bytes(1) }]);
      await store.close();
      store = open();
      deepStrictEqual(text(store.get("s", "a")), "one");
      deepStrictEqual(store.getMeta("n"), bytes(1));
      await store.close();
    },
  },
];
