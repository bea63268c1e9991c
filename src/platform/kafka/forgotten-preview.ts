/** What there is of an entity in topics, tables and the online store of workers, told before any of it is removed. */
import { formatViewName } from "../../define/definition.ts";
import { type ForgetPlace, rowsWhere } from "../forget/forget-places.ts";
import type { SharingEntities } from "../forget/forget-shared.ts";
import type { ForgottenEntity } from "./forgotten-entity.ts";
import { isForgottenRow } from "./forgotten-rows.ts";
import { countIdsIn, ownStates } from "./forgotten-states.ts";

/** Of one source, beside the serving log. */
export async function previewOfEntity(
  one: ForgottenEntity,
  sharing: readonly SharingEntities[],
): Promise<readonly ForgetPlace[]> {
  const { house, source, entity, key, findings, tables, places, ids, drafts } = one.found;
  const { name } = source.source;
  const ofTable = [];
  for (const [topic, table] of tables) {
    const before = (partition: number): number => findings.endOf(topic, partition);
    const isGone = await isForgottenRow(table, { places: places.get(topic)!, ids: [...ids], before });
    const { files } = await table.snapshot();
    const rows = isGone === null ? { count: 0, bytes: 0 } : await rowsWhere(house.engine, files, isGone);
    ofTable.push({ where: `events/${topic}`, what: "rows", ...rows });
  }
  const states = (await ownStates(house, source, { entity, key })).map(({ state }) => state);
  const ofEntity = new Set(
    house.registry
      .views()
      .flatMap(({ definition }) => (definition.entity === entity ? [formatViewName(definition)] : [])),
  );
  const spaces = drafts.flatMap((draft) => (ofEntity.has(draft.name) ? draft.spaces : []));
  const ofDrafts = await house.store.read(spaces.map((space) => ({ space, key })));
  for (const state of ofDrafts.states) if (state !== null) states.push(state);
  const records = [...findings.claims, ...findings.events];
  return [
    ...recordsByTopic(one),
    ...ofTable,
    {
      where: "online store",
      what: `states on ${name}`,
      count: states.length,
      bytes: states.reduce((sum, state) => sum + state.bytes.length, 0),
    },
    {
      where: "online store",
      what: `event ids of ${name}`,
      count: await countIdsIn(house.store, { ids, records }),
      bytes: null,
    },
    ...sharing.map(({ entity: of, keys }) => {
      return { where: "online store", what: `${of} entities to be folded anew`, count: keys.length, bytes: null };
    }),
  ];
}

/** Events, dead letters, claims and retractions, each with the copies that there are of it. */
function recordsByTopic(one: ForgottenEntity): readonly ForgetPlace[] {
  const topics = new Map<string, { count: number; bytes: number }>();
  for (const { topic, bytes } of one.found.findings.records) {
    const of = topics.get(topic) ?? { count: 0, bytes: 0 };
    topics.set(topic, { count: of.count + 1, bytes: of.bytes + bytes });
  }
  return Array.from(topics, ([topic, of]) => ({ where: `topic ${topic}`, what: "records", ...of }));
}
