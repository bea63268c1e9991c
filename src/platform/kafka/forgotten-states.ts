/**
 * What the online store has of a forgotten entity beside what workers fold at a mark: ids of its events, and states of views that
 * nobody folds any more. Each is written over by nothing, which is kept until nobody can be away any more who has it still.
 */
import { formatViewName } from "../../define/definition.ts";
import { GONE_KEPT_MS } from "../../ingest/kafka/partition-fold.ts";
import { TakenIds } from "../../ingest/kafka/taken-ids.ts";
import type { OnlineStore, StateRead, StateWrite, StoredState } from "../../online-store/online-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { type ForgottenSource, idOf, isSameKey, keyIn } from "./forgotten-source.ts";
import type { FoundClaim, FoundRecord } from "./topic-findings.ts";

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

/** Of views that were retired, and of drafts. Resolves with how many there were. */
export async function forgetLeftStates(
  { store, registry }: { readonly store: OnlineStore; readonly registry: Registry },
  { source }: ForgottenSource,
  { entity, key }: Forgotten,
): Promise<number> {
  const spaces: string[] = [];
  for (const { definition } of registry.retired()) {
    if (definition.kind !== "view" || definition.entity !== entity || definition.source !== source.name) continue;
    spaces.push(`${formatViewName(definition)}#kafka`);
  }
  for (const { definition } of registry.views()) {
    if (definition.version !== "dev" || definition.entity !== entity || definition.source !== source.name) continue;
    const [told = null] = (await store.read([], [`kafka-drafts/${formatViewName(definition)}`])).metas;
    if (told !== null) spaces.push(...(JSON.parse(Buffer.from(told).toString("utf8")) as string[]));
  }
  const reads = spaces.map((space) => ({ space, key }));
  return forgetStates(store, reads, () => true);
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
  readonly ids: readonly string[];
  readonly claims: readonly FoundClaim[];
  readonly events: readonly FoundRecord[];
}

/** Resolves with how many were known. */
export async function forgetIdsIn(
  store: OnlineStore,
  source: ForgottenSource,
  { ids, claims, events }: ForgottenIds,
): Promise<number> {
  const own = new Set(ids);
  const claimed = claims.map(({ topic, id, record }) => ({ topic, id, record, key: "" }));
  // Where no claim decides, whoever folds an event keeps its id, for its entity there.
  const kept = events.flatMap(({ topic, record }) => {
    const id = idOf(source, record);
    const key = keyIn(source, topic, record);
    return id === null || key === null ? [] : [{ topic, id, record, key }];
  });
  const all = [...claimed, ...kept].filter(({ id }) => own.has(id));
  const reads = all.map(({ topic, id, key }) => ({ space: `${topic}#ids`, key: TakenIds.keyOf(key, id) }));
  // What did not have the id is another's duplicate.
  return forgetStates(store, reads, (i, { offset }) => all[i]!.record.offset === offset);
}
