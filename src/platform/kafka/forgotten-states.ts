/**
 * What the online store has of a forgotten entity beside what workers fold at a mark: ids of its events, and states of views that
 * nobody folds any more. Each is written over by nothing, which is kept until nobody can be away any more who has it still.
 */
import { formatViewName } from "../../define/definition.ts";
import { GONE_KEPT_MS } from "../../ingest/kafka/partition-fold.ts";
import type { TopicFacts } from "../../ingest/kafka/records.ts";
import { TakenIds } from "../../ingest/kafka/taken-ids.ts";
import type { OnlineStore, StateRead, StateWrite, StoredState } from "../../online-store/online-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { type FoldedDraft, leftSpaces } from "./forgotten-drafts.ts";
import { type ForgottenSource, isSameKey } from "./forgotten-source.ts";
import type { FoundRecord } from "./found-record.ts";

interface Forgotten {
  readonly entity: string;
  readonly key: EntityKey;
}

const NOTHING: Uint8Array = new Uint8Array(0);

function gone(read: StateRead, { epoch, offset }: Pick<StoredState, "epoch" | "offset">): StateWrite {
  // Behind what is there, and before whatever comes.
  return { ...read, epoch, offset: offset + 0.5, bytes: NOTHING, keptMs: GONE_KEPT_MS };
}

/** Of views that are folded. */
export async function ownStates(
  { store }: { readonly store: OnlineStore },
  { views, folded }: ForgottenSource,
  { entity, key }: Forgotten,
): Promise<readonly { readonly view: string; readonly topic: string; readonly state: StoredState }[]> {
  const own = views.filter((view) => view.entity === entity);
  const { states } = await store.read(own.map((view) => ({ space: `${formatViewName(view)}#kafka`, key })));
  return own.flatMap((view, i) => {
    const state = states[i] ?? null;
    const [topic] = [...folded].find(([, columns]) => isSameKey(columns, view.key))!;
    return state === null ? [] : [{ view: formatViewName(view), topic, state }];
  });
}

export interface LeftStates {
  readonly store: OnlineStore;
  readonly registry: Registry;
  readonly facts: ReadonlyMap<string, TopicFacts>;
  readonly drafts: readonly FoldedDraft[];
}

/** Of views that were retired; and all of what drafts were that nobody folds. Resolves with how many of its own there were. */
export async function forgetLeftStates(
  { store, registry, facts, drafts }: LeftStates,
  { source }: ForgottenSource,
  { entity, key }: Forgotten,
): Promise<number> {
  const retired = registry.retired().flatMap(({ definition }) => {
    const isOfEntity = definition.kind === "view" && definition.entity === entity && definition.source === source.name;
    return isOfEntity ? [`${formatViewName(definition)}#kafka`] : [];
  });
  let count = await forgetStates(
    store,
    retired.map((space) => ({ space, key })),
    () => true,
  );
  // Of others, too, whose states may have its events.
  for (const space of await leftSpaces(store, drafts, facts)) {
    const { states } = await store.read([{ space, key }]);
    if (states[0] !== null) count++;
    await store.dropSpace(space);
  }
  return count;
}

async function forgetStates(
  store: OnlineStore,
  reads: readonly StateRead[],
  isForgotten: (index: number, stored: StoredState) => boolean,
): Promise<number> {
  const { states } = await store.read(reads);
  const writes = reads.flatMap((read, i) => {
    const stored = states[i] ?? null;
    return stored !== null && isForgotten(i, stored) ? [gone(read, stored)] : [];
  });
  await store.commit(writes, []);
  return writes.length;
}

export interface ForgottenIds {
  /** That no event of another has. */
  readonly ids: ReadonlySet<string>;
  /** Claims and events that may have been noted to have theirs: the former for the source, where no claim decides the latter for their entities. */
  readonly records: readonly FoundRecord[];
}

/** Resolves with how many were known. */
export async function forgetIdsIn(store: OnlineStore, forgotten: ForgottenIds): Promise<number> {
  const { reads, offsets } = idReads(forgotten);
  // What did not have the id is another's duplicate.
  return forgetStates(store, reads, (i, { offset }) => offsets[i] === offset);
}

/** As `forgetIdsIn`, and changes nothing. */
export async function countIdsIn(store: OnlineStore, forgotten: ForgottenIds): Promise<number> {
  const { reads, offsets } = idReads(forgotten);
  const { states } = await store.read(reads);
  return states.filter((stored, i) => stored !== null && stored.offset === offsets[i]).length;
}

function idReads({ ids, records }: ForgottenIds): { readonly reads: StateRead[]; readonly offsets: readonly number[] } {
  const all = records.flatMap(({ topic, offset, id }) =>
    id === null || !ids.has(id.id) ? [] : [{ space: `${topic}#ids`, key: TakenIds.keyOf(id.key, id.id), offset }],
  );
  return { reads: all.map(({ space, key }) => ({ space, key })), offsets: all.map(({ offset }) => offset) };
}
