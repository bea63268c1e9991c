/**
 * What every online store must do, as cases a test runner can run: each throws when the store does not.
 *
 * A case gets `open`, which opens the same stored data each time it is called; for a store without
 * durability only the cases with `durable: false` apply. What only local stores do is in `local-store-conformance.ts`.
 */
import { deepStrictEqual, ok } from "node:assert";
import type { OnlineStore } from "../online-store/online-store.ts";
import { checkAgainstModel, checkInterleavings } from "./conditional-writes.ts";
import { all, bytes, type ConformanceCase, text, write } from "./conformance-case.ts";

async function stateText(store: OnlineStore, space: string, key: string): Promise<string | null> {
  const { states } = await store.read([{ space, key }]);
  deepStrictEqual(states.length, 1);
  return text(states[0]?.bytes);
}

async function metaOf(store: OnlineStore, name: string): Promise<Uint8Array | null> {
  return (await store.read([], [name])).metas[0]!;
}

const inByteOrder = (keys: readonly string[]): string[] =>
  [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export const onlineStoreCases: readonly ConformanceCase[] = [
  {
    name: "what was never written is null and empty",
    durable: false,
    async run(open) {
      const store = await open();
      deepStrictEqual(await store.read([{ space: "v@1#0", key: "a" }], ["m"]), { states: [null], metas: [null] });
      deepStrictEqual(await store.read([]), { states: [], metas: [] });
      deepStrictEqual(await all(store.scanStates("v@1#0")), []);
      deepStrictEqual(await all(store.scanMetas("")), []);
      deepStrictEqual(await store.countStates("v@1#0"), 0);
      deepStrictEqual(await store.commit([], []), []);
      await store.close();
    },
  },
  {
    name: "online store write and read: a commit's states and metas are there once it resolves",
    durable: false,
    async run(open) {
      const store = await open();
      const refused = await store.commit(
        [write("v@1#0", "a", "one", 7), write("v@1#0", "b", "two", -(2 ** 52), 3)],
        [{ name: "position", bytes: bytes(7) }],
      );
      deepStrictEqual(refused, []);
      const reading = await store.read(
        [
          { space: "v@1#0", key: "b" },
          { space: "v@1#0", key: "nobody" },
          { space: "v@1#0", key: "a" },
          { space: "v@1#0", key: "b" },
        ],
        ["position", "nothing"],
      );
      deepStrictEqual(
        reading.states.map((state) => state && [state.epoch, state.offset, text(state.bytes)]),
        [[3, -(2 ** 52), "two"], null, [0, 7, "one"], [3, -(2 ** 52), "two"]],
      );
      deepStrictEqual(reading.metas, [bytes(7), null]);
      await store.commit([write("v@1#0", "a", "three", 8)], [{ name: "position", bytes: null }]);
      deepStrictEqual(await stateText(store, "v@1#0", "a"), "three");
      deepStrictEqual(await metaOf(store, "position"), null);
      await store.close();
    },
  },
  {
    name: "a write lands only where it is newer, and its caller learns what is stored",
    durable: false,
    async run(open) {
      const store = await open();
      await store.commit([write("s", "a", "present", 5, 2), write("s", "b", "other", 5, 2)], []);
      const attempts: readonly [offset: number, epoch: number][] = [
        [4, 2],
        [5, 2],
        [1e15, 1],
        [-1, 2],
      ];
      for (const [offset, epoch] of attempts) {
        const refused = await store.commit([write("s", "a", "older", offset, epoch)], [{ name: "m", bytes: bytes(1) }]);
        deepStrictEqual(refused, [{ index: 0, stored: { epoch: 2, offset: 5 } }]);
        deepStrictEqual(await stateText(store, "s", "a"), "present");
      }
      deepStrictEqual(await metaOf(store, "m"), bytes(1));
      const mixed = [write("s", "b", "older", 5, 2), write("s", "a", "newer", 6, 2), write("s", "c", "first", -9, 0)];
      deepStrictEqual(await store.commit(mixed, []), [{ index: 0, stored: { epoch: 2, offset: 5 } }]);
      deepStrictEqual(await stateText(store, "s", "a"), "newer");
      deepStrictEqual(await stateText(store, "s", "c"), "first");
      deepStrictEqual(await store.commit([write("s", "a", "next epoch", -9, 3)], []), []);
      deepStrictEqual(await stateText(store, "s", "a"), "next epoch");
      await store.close();
    },
  },
  {
    name: "writes of one entity in one commit count one after another",
    durable: false,
    async run(open) {
      const store = await open();
      const writes = [
        write("s", "a", "1", 1),
        write("s", "a", "3", 3),
        write("s", "a", "2", 2),
        write("t", "a", "x", 1),
      ];
      deepStrictEqual(await store.commit(writes, []), [{ index: 2, stored: { epoch: 0, offset: 3 } }]);
      deepStrictEqual(await stateText(store, "s", "a"), "3");
      deepStrictEqual(await stateText(store, "t", "a"), "x");
      await store.close();
    },
  },
  {
    name: "conditional writes do what a naive model does, one commit after another",
    durable: false,
    async run(open, seed) {
      const store = await open();
      await checkAgainstModel(store, seed);
      await store.close();
    },
  },
  {
    name: "conditional writes that overtake one another leave the newest, and none is taken back",
    durable: false,
    async run(open, seed) {
      const store = await open();
      await checkInterleavings(store, seed);
      await store.close();
    },
  },
  {
    name: "spaces and keys never run into one another, whatever characters they hold",
    durable: false,
    async run(open) {
      const store = await open();
      const places = [
        ["v@1#0", "a"],
        ["v@1#0", ""],
        ["v@1", "#0a"],
        ["v@1#0a", ""],
        ["v@1#00", "a"],
        ["v@1#0", "a\0b"],
        ["v@1#0", "ключ|\\|🗝"],
        ["v@1#0", "}"],
        ["v@1#0", "{"],
        ["v@1#0", "{}"],
        ["v@1#0", "{a}"],
        ["v@1#0", "a}v@1#0"],
        ["v@1#0", "%7d"],
        ["v@1#0", "%"],
        ["v@1#0", "%25"],
        ["v@1#0", "*"],
        ["v@1#0", "\r\n"],
        ["v@1#0", "k".repeat(1024)],
        ["v@1#0", "}".repeat(1024)],
        [`${"s".repeat(198)}#0`, "k".repeat(1024)],
      ] as const;
      await store.commit(
        places.map(([space, key], i) => write(space, key, String(i))),
        [{ name: "v@1#0", bytes: bytes(1) }],
      );
      const { states } = await store.read(places.map(([space, key]) => ({ space, key })));
      deepStrictEqual(
        states.map((state) => text(state?.bytes)),
        places.map((_, i) => String(i)),
      );
      const ofOne = places.filter(([space]) => space === "v@1#0").map(([, key]) => key);
      deepStrictEqual(await store.countStates("v@1#0"), ofOne.length);
      deepStrictEqual(
        (await all(store.scanStates("v@1#0"))).map(({ key }) => key),
        inByteOrder(ofOne),
      );
      await store.close();
    },
  },
  {
    name: "scans give keys in the order of their bytes, beginning after a key",
    durable: false,
    async run(open) {
      const store = await open();
      const keys = ["a", "b", "", "aa", "Z", "ü", "\u{ffff}", "\u{1f511}", "10", "9"];
      await store.commit(
        keys.map((key, i) => write("s", key, key.length.toString(), i)),
        keys.map((key) => ({ name: `p/${key}`, bytes: bytes(key.length) })),
      );
      await store.commit([write("t", "zz", "x")], [{ name: "q", bytes: bytes(1) }]);
      const ordered = inByteOrder(keys);
      const scanned = await all(store.scanStates("s"));
      deepStrictEqual(
        scanned.map(({ key, epoch, offset, bytes: found }) => [key, epoch, offset, text(found)]),
        ordered.map((key) => [key, 0, keys.indexOf(key), String(key.length)]),
      );
      const keysAfter = async (after: string): Promise<string[]> =>
        (await all(store.scanStates("s", after))).map(({ key }) => key);
      deepStrictEqual(await keysAfter("a"), ordered.slice(ordered.indexOf("a") + 1));
      deepStrictEqual(await keysAfter("a0"), ordered.slice(ordered.indexOf("aa")));
      deepStrictEqual(
        await all(store.scanMetas("p/")),
        ordered.map((key) => ({ name: `p/${key}`, bytes: bytes(key.length) })),
      );
      deepStrictEqual(
        (await all(store.scanMetas("p/", "p/b"))).map(({ name }) => name),
        ordered.slice(ordered.indexOf("b") + 1).map((key) => `p/${key}`),
      );
      await store.close();
    },
  },
  {
    name: "returned and given bytes belong to the caller",
    durable: false,
    async run(open) {
      const store = await open();
      const [given, meta] = [bytes(1, 2, 3), bytes(4)];
      await store.commit(
        [{ ...write("s", "k", ""), bytes: given }, write("s", "l", "other")],
        [{ name: "m", bytes: meta }],
      );
      given[0] = 9;
      meta[0] = 9;
      const first = (await store.read([{ space: "s", key: "k" }])).states[0]!.bytes;
      const firstMeta = (await metaOf(store, "m"))!;
      await stateText(store, "s", "l");
      deepStrictEqual([first, firstMeta], [bytes(1, 2, 3), bytes(4)]);
      first[1] = 9;
      firstMeta[0] = 9;
      deepStrictEqual((await store.read([{ space: "s", key: "k" }])).states[0]!.bytes, bytes(1, 2, 3));
      deepStrictEqual(await metaOf(store, "m"), bytes(4));
      const scanned = await all(store.scanStates("s"));
      await stateText(store, "s", "l");
      deepStrictEqual(scanned[0]!.bytes, bytes(1, 2, 3));
      await store.close();
    },
  },
  {
    name: "a space is dropped whole, without touching another",
    durable: false,
    async run(open) {
      const store = await open();
      const many = Array.from({ length: 25_000 }, (_, i) => write("v@1#1", `k${i}`, "x", 5));
      await store.commit(
        [...many, write("v@1#10", "k", "stays"), write("v@1#0", "k", "stays")],
        [{ name: "v@1#1", bytes: bytes(1) }],
      );
      deepStrictEqual(await store.countStates("v@1#1"), 25_000);
      await store.dropSpace("v@1#1");
      deepStrictEqual(await store.countStates("v@1#1"), 0);
      deepStrictEqual(await stateText(store, "v@1#10", "k"), "stays");
      deepStrictEqual(await stateText(store, "v@1#0", "k"), "stays");
      deepStrictEqual(await metaOf(store, "v@1#1"), bytes(1));
      // What was dropped is gone with its version.
      deepStrictEqual(await store.commit([write("v@1#1", "k1", "again", 1)], []), []);
      deepStrictEqual(await stateText(store, "v@1#1", "k1"), "again");
      await store.close();
    },
  },
  {
    name: "a state without bytes is none to who reads it, and keeps older ones out",
    durable: false,
    async run(open) {
      const store = await open();
      const at = (offset: number, state: Uint8Array) => ({ ...write("s", "a", ""), offset, bytes: state });
      await store.commit([at(5, bytes(1))], []);
      deepStrictEqual(await store.commit([at(7, bytes())], []), []);
      deepStrictEqual((await store.read([{ space: "s", key: "a" }])).states, [null]);
      for await (const state of store.scanStates("s")) throw new Error(`found ${state.key}`);
      deepStrictEqual(
        (await store.commit([at(6, bytes(2))], [])).map(({ stored }) => stored.offset),
        [7],
      );
      await store.commit([at(8, bytes(3))], []);
      deepStrictEqual((await store.read([{ space: "s", key: "a" }])).states[0]!.bytes, bytes(3));
      await store.close();
    },
  },
  {
    name: "small and large values come back as they were",
    durable: false,
    async run(open) {
      const store = await open();
      const large = new Uint8Array(3_000_000).map((_, i) => i % 251);
      const everyByte = new Uint8Array(256).map((_, i) => i);
      await store.commit(
        [
          { ...write("s", "small", ""), bytes: bytes(0) },
          { ...write("s", "large", ""), bytes: large.slice() },
          { ...write("s", "every", ""), bytes: everyByte },
        ],
        [
          { name: "empty", bytes: bytes() },
          { name: "every", bytes: everyByte },
        ],
      );
      const { states, metas } = await store.read(
        ["small", "large", "every"].map((key) => ({ space: "s", key })),
        ["empty", "every"],
      );
      deepStrictEqual(states[0]!.bytes, bytes(0));
      deepStrictEqual(Buffer.compare(states[1]!.bytes, large), 0);
      deepStrictEqual(states[2]!.bytes, everyByte);
      deepStrictEqual(metas, [bytes(), everyByte]);
      await store.close();
    },
  },
  {
    name: "the states of one entity in a commit are seen together, the later of concurrent commits wins",
    durable: false,
    async run(open) {
      const store = await open();
      const spaces = ["s", "t"];
      const commits = Array.from({ length: 40 }, (_, i) =>
        store.commit(
          spaces.map((space) => write(space, "a", `v${i}`, i)),
          [{ name: "n", bytes: bytes(i) }],
        ),
      );
      const settled = Promise.all(commits);
      const end = { isOver: false };
      settled.finally(() => (end.isOver = true)).catch(() => undefined);
      let seen = -1;
      while (!end.isOver) {
        const { states, metas } = await store.read(
          spaces.map((space) => ({ space, key: "a" })),
          ["n"],
        );
        deepStrictEqual(text(states[0]?.bytes), text(states[1]?.bytes));
        ok((states[0]?.offset ?? -1) >= seen, "a later read saw an older state");
        seen = states[0]?.offset ?? -1;
        // A position never claims more than the states hold that are read after it.
        const claimed = metas[0]?.[0] ?? -1;
        const { states: after } = await store.read([{ space: "s", key: "a" }]);
        ok((after[0]?.offset ?? -1) >= claimed, `position ${claimed} is ahead of the state`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await settled;
      deepStrictEqual(await stateText(store, "s", "a"), "v39");
      await store.close();
    },
  },
  {
    name: "online store write and read: what was committed is there when it is opened again",
    durable: true,
    async run(open) {
      let store = await open();
      await store.commit([write("s", "a", "one", 5, 1)], [{ name: "n", bytes: bytes(1) }]);
      await store.close();
      store = await open();
      deepStrictEqual(await stateText(store, "s", "a"), "one");
      deepStrictEqual(await metaOf(store, "n"), bytes(1));
      const late = await store.commit([write("s", "a", "older", 4, 1)], []);
      deepStrictEqual(late, [{ index: 0, stored: { epoch: 1, offset: 5 } }]);
      await store.close();
    },
  },
];
