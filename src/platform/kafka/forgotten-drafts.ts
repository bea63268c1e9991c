/**
 * Drafts that workers fold (`onefold worker --drafts`), as the online store tells of them: whoever starts a worker need not have
 * registered them, and each thing that a draft has been has states of its own.
 *
 * - One that is folded from a topic of its own, keyed as no numbered view is, is to meet a mark there as other views do in theirs.
 * - What nobody folds any more is dropped whole: no mark reaches it, and it would be folded from the beginning if it came back.
 */
import { decodePosition, positionMetaName } from "../../ingest/kafka/position.ts";
import type { TopicFacts } from "../../ingest/kafka/records.ts";
import { decodePlace, DRAFT_META } from "../../ingest/kafka/view-places.ts";
import { viewMetaName } from "../../ingest/stored-view.ts";
import type { OnlineStore, StateSpace } from "../../online-store/online-store.ts";

export interface FoldedDraft {
  /** `name@dev` */
  readonly name: string;
  /** That it is folded from. */
  readonly topic: string;
  /** Of all that it has been. */
  readonly spaces: readonly StateSpace[];
}

/** Of these topics. */
export async function foldedDrafts(store: OnlineStore, topics: readonly string[]): Promise<readonly FoldedDraft[]> {
  const found: FoldedDraft[] = [];
  for await (const { name: meta, bytes } of store.scanMetas(DRAFT_META)) {
    const name = meta.slice(DRAFT_META.length);
    const [told = null] = (await store.read([], [viewMetaName(name)])).metas;
    const topic = decodePlace(told)?.topic;
    if (topic === undefined || !topics.includes(topic)) continue;
    found.push({ name, topic, spaces: JSON.parse(Buffer.from(bytes).toString("utf8")) as StateSpace[] });
  }
  return found;
}

/** Spaces that no position speaks of: no worker folds into them, and none goes on with them. */
export async function leftSpaces(
  store: OnlineStore,
  drafts: readonly FoldedDraft[],
  facts: ReadonlyMap<string, TopicFacts>,
): Promise<readonly StateSpace[]> {
  const left: StateSpace[] = [];
  for (const { topic, spaces } of drafts) {
    const names = Array.from({ length: facts.get(topic)!.partitionCount }, (_, partition) =>
      [false, true].map((isLate) => positionMetaName(topic, partition, isLate)),
    ).flat();
    const { metas } = await store.read([], names);
    const folded = new Set(
      metas.flatMap((bytes) => (bytes === null ? [] : Object.keys(decodePosition(bytes).views))).map(spaceNamed),
    );
    left.push(...spaces.filter((space) => !folded.has(space)));
  }
  return left;
}

function spaceNamed(foldName: string): StateSpace {
  return `${foldName}#kafka`;
}
