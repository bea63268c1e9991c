/**
 * Where views' states stand, told in the online store to whoever serves them, and what they were folded by.
 *
 * The states of workers have a space of their own, `view@version#kafka`: offsets of an event log on one machine and
 * those of a topic's partitions are not to be compared. A worker refuses to fold into a space that another definition
 * of the view has filled, and to take the place of states that another process publishes under the view's name.
 *
 * A draft has a space for each thing that it has been. The place names the present one, and whoever serves it looks at
 * the fingerprint; the spaces before are forgotten.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { MetaWrite, OnlineStore, StateSpace } from "../../online-store/online-store.ts";
import { fingerprint } from "../../registry/fingerprint.ts";
import { type StoredView, viewMetaName } from "../stored-view.ts";
import type { TopicFacts } from "./records.ts";
import type { RoutedView, SourceRoutes } from "./routes.ts";

/** Every state of a view on Kafka is of this epoch. */
export const KAFKA_EPOCH = 0;

export interface KafkaPlace extends StoredView {
  readonly fingerprint?: string;
  /** While it has not caught up with what came before it (`caught-up.ts`): it is not to be served. */
  readonly building?: true;
  /** That it is folded from. */
  readonly topic?: string;
}

export function decodePlace(bytes: Uint8Array | null): KafkaPlace | null {
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString("utf8")) as KafkaPlace);
}

export function encodePlace(place: KafkaPlace): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(place)));
}

export function spaceOf({ foldName }: RoutedView): StateSpace {
  return `${foldName}#kafka`;
}

/**
 * Remembers how many partitions the folded topics have. Another number would send an entity's events to another
 * partition than those before, and there would be two orders of them. Throws `KAFKA_TOPIC_UNFIT`.
 */
export async function keepPartitionCounts(store: OnlineStore, topics: readonly TopicFacts[]): Promise<void> {
  const { metas } = await store.read([], topics.map(countMetaName));
  const writes = topics.map((topic, i): MetaWrite => {
    const { name, partitionCount } = topic;
    const known = metas[i] ?? null;
    const before = known === null ? partitionCount : Number(Buffer.from(known).toString());
    if (before !== partitionCount) {
      throw new OnefoldError("KAFKA_TOPIC_UNFIT", `topic ${name} had ${before} partitions, and has ${partitionCount}`, {
        where: name,
        hint: "an entity's events would be in two partitions, and in no order: take another --kafka-prefix and Redis prefix, and fold everything anew",
      });
    }
    return { name: countMetaName(topic), bytes: new Uint8Array(Buffer.from(String(partitionCount))) };
  });
  await store.commit([], writes);
}

/** Of another topic of the same name nothing is known. */
function countMetaName({ name, id }: TopicFacts): string {
  return `kafka-partitions/${name}/${id}`;
}

/** Throws `FINGERPRINT_MISMATCH`, `STORAGE_LOCKED`, and what the store throws. */
export async function tellViewPlaces(store: OnlineStore, plans: readonly SourceRoutes[]): Promise<void> {
  const views = plans.flatMap(({ routes }) =>
    routes.flatMap(({ topic, views: each }) => each.map((view) => ({ ...view, topic }))),
  );
  const { metas } = await store.read(
    [],
    views.map(({ name }) => viewMetaName(name)),
  );
  const writes = views.map((view, i): MetaWrite => {
    const told = decodePlace(metas[i] ?? null);
    const ours = fingerprint(view.definition);
    const isDraft = view.definition.version === "dev";
    const isOurs = told?.space === spaceOf(view) || (isDraft && told?.space.endsWith("#kafka") === true);
    if (told !== null && !isOurs) {
      throw new OnefoldError("STORAGE_LOCKED", `another process publishes the states of view ${view.name} here`, {
        hint: "give workers a Redis of their own, or a prefix: redis://host:port?prefix=workers:",
      });
    }
    if (!isDraft && told?.fingerprint !== undefined && told.fingerprint !== ours) {
      throw new OnefoldError("FINGERPRINT_MISMATCH", `view ${view.name} was folded here by another definition`, {
        where: view.name,
        hint: "give the changed view a new version; it is folded beside the old one, from the beginning of its topic",
      });
    }
    const isBuilt = told?.space === spaceOf(view) && told.building !== true;
    const place: KafkaPlace = {
      space: spaceOf(view),
      epoch: KAFKA_EPOCH,
      position: 0,
      nextSequence: 0,
      fingerprint: ours,
      topic: view.topic,
      ...(isBuilt ? {} : { building: true }),
    };
    return { name: viewMetaName(view.name), bytes: encodePlace(place) };
  });
  await store.commit([], writes);
}

/** Of those that it had, the newest are looked after: another worker may write into one until it is stopped. */
const DRAFT_SPACES_KEPT = 8;

/**
 * Forgets what drafts have been, and drafts that there are no more: their states and places. To be called where drafts are
 * folded, once their places are told.
 */
export async function forgetDrafts(store: OnlineStore, plans: readonly SourceRoutes[]): Promise<void> {
  const views = plans.flatMap(({ routes }) => routes.flatMap((route) => route.views));
  const present = new Map(
    views.flatMap((view) => (view.definition.version === "dev" ? [[view.name, spaceOf(view)] as const] : [])),
  );
  const known = new Map<string, readonly StateSpace[]>();
  for await (const { name, bytes } of store.scanMetas(DRAFT_META)) {
    known.set(name.slice(DRAFT_META.length), JSON.parse(Buffer.from(bytes).toString("utf8")) as StateSpace[]);
  }
  const writes: MetaWrite[] = [];
  for (const draft of new Set([...known.keys(), ...present.keys()])) {
    const space = present.get(draft);
    const before = (known.get(draft) ?? []).filter((each) => each !== space).slice(-DRAFT_SPACES_KEPT);
    for (const each of before) await store.dropSpace(each);
    if (space === undefined) {
      writes.push({ name: viewMetaName(draft), bytes: null }, { name: DRAFT_META + draft, bytes: null });
    } else writes.push({ name: DRAFT_META + draft, bytes: Buffer.from(JSON.stringify([...before, space])) });
  }
  await store.commit([], writes);
}

/** Begins the metas that say in which spaces a draft has been folded. */
export const DRAFT_META = "kafka-drafts/";
