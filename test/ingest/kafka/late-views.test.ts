/**
 * Views that are registered after events have come: by a real broker, folded from the beginning of what there is and
 * then live, to the very bytes of a view that had always been there.
 */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import type { Definition, ViewDefinition } from "../../../src/define/definition.ts";
import { planRoutes } from "../../../src/ingest/kafka/routes.ts";
import { MemoryOnlineStore } from "../../../src/online-store/memory.ts";
import { describeWhere, shared } from "../../services/describe-where.ts";
import { payments, shop, shopView, user, userView } from "../payments.ts";
import { KafkaWorld, sentPayment } from "./kafka-world.ts";

const describeWithKafka = await describeWhere("kafka");

const some = (from: number, to: number): ReturnType<typeof sentPayment>[] =>
  Array.from({ length: to - from }, (_, i) => sentPayment(from + i));

/** Of the first payments, those that the shop's view throws on. */
const poisonous = (count: number): number => some(0, count).filter(({ amount }) => amount === 13).length;

describeWithKafka("a view on a topic with a past", () => {
  it("is folded from the past of an internal topic of its key, and of one that is made for it", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 1, source: {} });
    const source = { ...world.source, kafka: { ...world.source.kafka!, knownTime: "record" as const } };
    const second: ViewDefinition = { ...userView, version: 2 };
    const before: readonly Definition[] = [user, source, userView];
    const after: readonly Definition[] = [
      ...world.definitions.filter(({ name }) => name !== "payments"),
      source,
      second,
    ];
    const store = new MemoryOnlineStore();
    const first = await world.worker(store, { definitions: before });
    await world.send([...some(0, 150), "no json", sentPayment(3)]);
    await expect.poll(() => first.progress.route.events, { timeout: 60_000 }).toBe(150);
    await expect.poll(() => first.progress.fold.events, { timeout: 60_000 }).toBe(150);
    await first.stop();

    // Those of the other prefix have known all views from the first event on.
    const other = { ...world.settings, prefix: `t${randomUUID().slice(0, 8)}` };
    const always = new MemoryOnlineStore();
    await world.worker(always, { definitions: after, kafka: other });
    await world.worker(store, { definitions: after });
    await world.send([...some(150, 250), "no json either", sentPayment(160)]);
    await world.settled(store, 250, 60_000);
    const statesOf = async (of: MemoryOnlineStore, prefix: string): Promise<Record<string, unknown>> => {
      const states: Record<string, unknown> = {};
      for (const route of planRoutes(after, prefix)[0]!.routes) {
        for (const [view, each] of await world.storedStates(of, route)) states[view] = each;
      }
      return states;
    };
    await expect
      .poll(() => statesOf(store, world.settings.prefix), { timeout: 60_000 })
      .toEqual(await settledStates(() => statesOf(always, other.prefix)));
    const states = await statesOf(store, world.settings.prefix);
    expect(Object.keys(states).toSorted()).toEqual(["shop_payments@1", "user_payments@1", "user_payments@2"]);
    expect(await world.countOf(store, world.routes[0]!)).toBe(250);
    expect(await world.countOf(store, world.routes[1]!)).toBe(250 - poisonous(250));
    const letters = (await world.read(`${world.settings.prefix}.payments.dead-letters`)).flat();
    const records = letters.flatMap(({ headers }) =>
      headers().get("onefold-stage")!.toString() === "record" ? [headers().get("onefold-record")!.toString()] : [],
    );
    expect(records).toHaveLength(2);
    expect(new Set(records).size).toBe(2);
    await world.close();
  });

  it("is said to be built once it holds all that there was, and not before", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 2 });
    const second: ViewDefinition = { ...userView, version: 2 };
    const store = new WatchedPlaces();
    const first = await world.worker(store, { definitions: [user, world.source, userView] });
    // There was nothing: it is there at once.
    expect(store.places).toEqual(["user_payments@1 is being built", "user_payments@1 has 0"]);
    await world.send(some(0, 400));
    await expect.poll(() => first.progress.fold.events, { timeout: 60_000 }).toBe(400);
    await first.stop();
    store.places.length = 0;
    // One of a topic that there is, and one of a topic that is made for it.
    const worker = await world.worker(store, { definitions: [...world.definitions, second] });
    expect(store.places.toSorted()).toEqual(["shop_payments@1 is being built", "user_payments@2 is being built"]);
    await world.send(some(400, 450));
    await expect.poll(() => store.places.length, { timeout: 60_000 }).toBe(4);
    await world.settled(store, 450, 60_000);
    for (const [view, least] of [
      ["user_payments@2", 400],
      ["shop_payments@1", 400 - poisonous(400)],
    ] as const) {
      const told = store.places.find((text) => text.startsWith(`${view} has`))!;
      expect(Number(told.split(" ").at(-1)), told).toBeGreaterThanOrEqual(least);
    }
    // It stays so, whoever comes.
    await worker.stop();
    await world.worker(store, { definitions: [...world.definitions, second] });
    expect(store.places).toHaveLength(4);
    await world.close();
  });

  it("misses nothing while workers that do not know it go on routing", async () => {
    const world = await KafkaWorld.open(await shared("kafka"), { sourcePartitions: 4 });
    const before = [user, world.source, userView];
    const store = new MemoryOnlineStore();
    const old = await world.worker(store, { definitions: before });
    await world.send(some(0, 200));
    await expect.poll(() => old.progress.fold.events, { timeout: 60_000 }).toBe(200);
    // Both route: each some of the partitions.
    await world.worker(store);
    for (let n = 200; n < 600; n += 50) await world.send(some(n, n + 50));
    await expect.poll(() => old.progress.route.events, { timeout: 60_000 }).toBeGreaterThan(200);
    await old.stop();
    await world.send(some(600, 700));
    await world.settled(store, 700, 60_000);
    for (const route of world.routes) {
      expect(await world.storedStates(store, route)).toEqual(await world.expectedStates(route));
    }
    expect(await world.countOf(store, world.routes[0]!)).toBe(700);
    expect(await world.countOf(store, world.routes[1]!)).toBe(700 - poisonous(700));
    await world.close();
  });
});

/** A store that notes what is told of views, and how many events the states of one hold when it is said to be built. */
class WatchedPlaces extends MemoryOnlineStore {
  readonly places: string[] = [];
  #built = new Set<string>();

  override commit(...commit: Parameters<MemoryOnlineStore["commit"]>): ReturnType<MemoryOnlineStore["commit"]> {
    for (const { name, bytes } of commit[1]) {
      const view = name.startsWith("view/") ? name.slice("view/".length) : null;
      if (view === null || bytes === null) continue;
      const { building, space } = JSON.parse(Buffer.from(bytes).toString()) as { building?: true; space: string };
      if (building === true) this.places.push(`${view} is being built`);
      else if (!this.#built.has(view)) {
        this.#built.add(view);
        const { fold } = folds.get(view)!;
        const counts = [...this.scan(space)].map((state) => fold.decode(state.bytes).eventCount);
        this.places.push(`${view} has ${counts.reduce((sum, count) => sum + count, 0)}`);
      }
    }
    return super.commit(...commit);
  }
}

const folds = new Map(
  planRoutes(
    [user, shop, { ...payments, kafka: { topic: "any" } }, userView, shopView, { ...userView, version: 2 }],
    "any",
  )
    .flatMap(({ routes }) => routes.flatMap(({ views }) => views))
    .map((view) => [view.name, view]),
);

/** Once they have stopped changing. */
async function settledStates(read: () => Promise<Record<string, unknown>>): Promise<Record<string, unknown>> {
  let last = "";
  await expect
    .poll(
      async () => {
        const now = JSON.stringify(await read());
        const isSame = now === last;
        last = now;
        return isSame;
      },
      { timeout: 60_000, interval: 2000 },
    )
    .toBe(true);
  return JSON.parse(last) as Record<string, unknown>;
}
