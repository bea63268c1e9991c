/**
 * An entity forgotten in what Onefold keeps of sources on Kafka, beside workers that go on.
 *
 *     look: source's topic, internal topics, tables ─▶ places in the source's topic, kept ─▶ marks ─▶ workers fold them
 *       ─▶ ids and served vectors ─▶ blanks ─▶ Kafka compacts ─▶ tables ─▶ profiles
 *
 * What is forgotten is all that stood in the source's topic when the command began. Workers leave it out of states at a mark in each
 * partition that has some of it. The records go once no state has them, and the rows once nobody can read the records: until then
 * they say whose states a mark concerns. Each step may be done again, and the whole is begun anew by the same command: what is
 * left of an earlier one it finds in topics and tables.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { formatViewName } from "../../define/definition.ts";
import { AlteredTopics } from "../../ingest/kafka/altered-topics.ts";
import { ForgottenNotes, rowsFolder } from "../../ingest/kafka/forgotten-notes.ts";
import { NOTES_TRUSTED_MS } from "../../ingest/kafka/noted-origins.ts";
import { POSITIONS_TRUSTED_MS } from "../../ingest/kafka/stored-positions.ts";
import { kafkaSettings } from "../../ingest/kafka/settings.ts";
import { WindowFolder } from "../../monitor/drift/window-folder.ts";
import { openOfflineStore } from "../../offline-store/delta-table.ts";
import { openDuckDb } from "../../offline-store/open-duckdb.ts";
import { openRedisStore } from "../../online-store/redis/redis-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { EntityKey } from "../../schema/entity-key.ts";
import { refuseOtherFormat } from "../folder-format.ts";
import { forgetDrift } from "../forget/forget-drift.ts";
import { keyToForget } from "../forget/forget-entity.ts";
import { type ForgetPreview, somewhere } from "../forget/forget-places.ts";
import { forgetServed, servedPlace } from "../forget/forget-served.ts";
import type { SharingEntities } from "../forget/forget-shared.ts";
import { monitoredPlaces } from "../forget/monitored-places.ts";
import { foldedWindows } from "../monitoring/folded-recorder.ts";
import type { OnProgress } from "../runtime-context.ts";
import type { ForgetHouse } from "./forget-house.ts";
import { ForgetLock } from "./forget-lock.ts";
import { ForgottenEntity } from "./forgotten-entity.ts";
import { previewOfEntity } from "./forgotten-preview.ts";
import { sourcesOnKafka } from "./forgotten-source.ts";
import { type KafkaGiven, kafkaModules } from "./kafka-worker.ts";
import { dropLeftRows } from "./left-rows.ts";

export interface ForgetOnKafka {
  readonly registry: Registry;
  /** Of a server: its serving log. */
  readonly dataDir: string;
  readonly clock?: Clock;
  readonly kafka: KafkaGiven;
  /** As `onefold worker --online` has it. */
  readonly onlineUrl: string;
  readonly onlinePassword?: string;
  /** As `onefold worker --archive` has it. */
  readonly archiveFolder: string;
  readonly entity: string;
  readonly parts: readonly unknown[];
  /** Also where others are folded from its events, whose values change. */
  readonly isShared: boolean;
  /** So long nothing may come of what it waits for. Default ten minutes. */
  readonly stalledMs?: number;
  /** For copies of partitions to be compacted, too. Default half a minute. */
  readonly copiesMs?: number;
  readonly onProgress?: OnProgress;
}

export interface KafkaForgetReport {
  readonly entity: string;
  readonly key: EntityKey;
  readonly sources: readonly string[];
  /** Of events, with copies and those of each topic: what was taken out of topics. */
  readonly records: number;
  /** Of the records, dead letters. */
  readonly deadLetters: number;
  /** Taken out of tables. */
  readonly rows: number;
  readonly states: number;
  readonly ids: number;
  readonly servedVectors: number;
  /** What is still there, and until when. */
  readonly remains: readonly string[];
}

export interface KafkaForgetPreview extends ForgetPreview {
  readonly remains: readonly string[];
}

const STALLED_MS = 600_000;
const COPIES_MS = 30_000;
const LOOK_MS = 300;
/** Who has looked just before is waited for, however late its timer is. */
const TRUST_MS = 2 * Math.max(POSITIONS_TRUSTED_MS, NOTES_TRUSTED_MS);

/**
 * Resolves once nothing of it is left but what `remains` says. Throws `FORGET_UNFINISHED`, `FORGET_SHARED`, `STORAGE_LOCKED` while
 * another forgets, and what it uses throws.
 */
export function forgetOnKafka(asked: ForgetOnKafka): Promise<KafkaForgetReport> {
  return withHouse(asked, async (house, key) => {
    const { store, connection } = house;
    const lock = await ForgetLock.take({ store, prefix: connection.settings.prefix });
    try {
      return await forgetIn({ ...house, check: () => lock.check() }, { ...asked, key });
    } finally {
      await lock.release();
    }
  });
}

/** What `forgetOnKafka` would remove, and where: refused as that is, and changes nothing. */
export function previewOnKafka(asked: ForgetOnKafka): Promise<KafkaForgetPreview> {
  return withHouse(asked, (house, key) => previewIn(house, { ...asked, key }));
}

async function withHouse<T>(
  asked: ForgetOnKafka,
  work: (house: ForgetHouse, key: EntityKey) => Promise<T>,
): Promise<T> {
  const { registry, archiveFolder, entity, isShared, clock = systemClock } = asked;
  const { stalledMs = STALLED_MS, copiesMs = COPIES_MS, onProgress = () => {} } = asked;
  const settings = kafkaSettings(asked.kafka);
  const key = keyToForget({ registry }, entity, asked.parts);
  // Refused before anything is opened, where it must be.
  sourcesOnKafka(registry, entity, settings.prefix, isShared);
  await refuseOtherFormat(archiveFolder);
  const { KafkaConnection } = await kafkaModules();
  const connection = new KafkaConnection(settings);
  const { onlineUrl: url, onlinePassword: password } = asked;
  const store = await openRedisStore({ url, ...(password === undefined ? {} : { password }) });
  const engine = await openDuckDb({ threads: 1 });
  try {
    await store.ping();
    const tables = openOfflineStore(archiveFolder, engine, { clock });
    const limits = { stalledMs, copiesMs, lookMs: LOOK_MS, trustMs: TRUST_MS, check: () => {} };
    return await work({ registry, connection, store, engine, tables, ...limits, onProgress }, key);
  } finally {
    await engine.close();
    await store.close();
    await connection.close();
  }
}

type AskedIn = Pick<ForgetOnKafka, "dataDir" | "archiveFolder" | "entity" | "isShared"> & { readonly key: EntityKey };

/** As `previewOnKafka`, with what it opens. */
export async function previewIn(house: ForgetHouse, asked: AskedIn): Promise<KafkaForgetPreview> {
  const { entity, key, isShared, dataDir, archiveFolder } = asked;
  const sources = sourcesOnKafka(house.registry, entity, house.connection.settings.prefix, isShared);
  const found = [];
  const sharing: Record<string, readonly SharingEntities[]> = {};
  for (const source of sources) {
    const one = await ForgottenEntity.find(house, source, { entity, key, isLook: true });
    const others = await one.sharing();
    sharing[source.source.name] = others;
    found.push(...(await previewOfEntity(one, others)));
  }
  if (sources.length > 0) found.push(await servedPlace(join(dataDir, "serving-log"), { entity, key, sharing }));
  const places = [...found, ...(await monitoredPlaces(archiveFolder, house.registry, entity, ["quality"]))];
  const names = sources.map(({ source }) => source.name);
  return { entity, key, sources: names, places: somewhere(places), remains: remains(sources) };
}

/** As `forgetOnKafka`, with what it opens. */
export async function forgetIn(house: ForgetHouse, asked: AskedIn): Promise<KafkaForgetReport> {
  const { dataDir, archiveFolder, entity, key, isShared } = asked;
  const { registry, connection, check } = house;
  const { prefix } = connection.settings;
  const sources = sourcesOnKafka(registry, entity, prefix, isShared);
  const altered = new AlteredTopics(connection, archiveFolder, prefix);
  const forgotten: ForgottenEntity[] = [];
  // All is looked at before anything is changed.
  for (const source of sources) forgotten.push(await ForgottenEntity.find(house, source, { entity, key }));
  await altered.names();
  const counts = { records: 0, deadLetters: 0, rows: 0, states: 0, ids: 0, servedVectors: 0 };
  const served = join(dataDir, "serving-log");
  for (const one of forgotten) {
    check();
    const { name } = one.source.source;
    const notes = new ForgottenNotes(archiveFolder, prefix, name);
    await notes.keepOrigins(one.origins);
    const takeAway = await notes.keepRows(one.rows);
    counts.states += await one.fold();
    check();
    counts.ids += await one.forgetIds();
    const sharing = { [name]: await one.sharing() };
    counts.servedVectors += await forgetServed(served, { entity, key, sharing });
    check();
    const erased = await one.erase(altered);
    counts.records += erased.records;
    counts.deadLetters += erased.deadLetters;
    // What was served before it was folded may have been on its way.
    counts.servedVectors += await forgetServed(served, { entity, key, sharing });
    counts.rows += await one.forgetRows();
    await takeAway();
  }
  await forgetMonitored(archiveFolder, registry, entity, sources);
  const names = sources.map(({ source }) => source.name);
  // Of other runs: where their tables cannot be read now, the next one looks again.
  for (const name of names) await dropLeftRows(house, rowsFolder(archiveFolder, prefix, name)).catch(() => undefined);
  return { entity, key, sources: names, ...counts, remains: remains(sources) };
}

/** Profiles are made again of what is left; values that were sampled for drift are not. */
async function forgetMonitored(
  archiveFolder: string,
  registry: Registry,
  entity: string,
  sources: ReturnType<typeof sourcesOnKafka>,
): Promise<void> {
  // Workers write there meanwhile.
  const anew = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 } as const;
  await rm(join(archiveFolder, "monitor", "quality"), anew);
  const sampled = { windows: new WindowFolder(archiveFolder), folded: foldedWindows(archiveFolder) };
  await forgetDrift(sampled, registry, entity);
  // Of others its values may be among them.
  for (const { isShared: hasOthers, views } of sources) {
    for (const view of hasOthers ? views : []) await sampled.folded.forget(formatViewName(view));
  }
}

function remains(sources: ReturnType<typeof sourcesOnKafka>): readonly string[] {
  const topics = sources.map(({ source }) => source.kafka!.topic);
  if (topics.length === 0) return [];
  return [
    `its records in your topic ${topics.join(", ")}, until you delete them or retention.ms does; workers take them no more`,
    "its key in Redis, without any value, for ten minutes: so that a worker that was paused does not write it again",
    "segments of internal topics that Kafka has replaced, on the brokers' disks for file.delete.delay.ms (a minute), and on copies that were away",
    "serving logs and monitoring of other servers: give the command there, too, with their --data",
  ];
}
