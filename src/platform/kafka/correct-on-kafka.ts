/**
 * Corrections of events that come from Kafka: records of the source's own topic, which workers fold as they come.
 *
 * What the offline tables of workers hold decides which can be made. A correction goes to the partition of the source's
 * topic that its event came from, so that whoever reads the topic again meets them in the same order.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { isOnefoldError, OnefoldError } from "../../base/errors.ts";
import type { StreamDefinition } from "../../define/definition.ts";
import {
  type Correction,
  type CorrectionOutcome,
  planCorrections,
  refuseUncorrectableOnKafka,
} from "../../ingest/corrections.ts";
import { compileDoor } from "../../ingest/door.ts";
import type { FetchFrom, NewRecord } from "../../ingest/kafka/records.ts";
import { partitionOfKey } from "../../ingest/kafka/key-partition.ts";
import { parseOrigin } from "../../ingest/kafka/origin.ts";
import { CORRECTS_HEADER, ORIGIN_HEADER } from "../../ingest/kafka/record-stamp.ts";
import { internalTopic } from "../../ingest/kafka/routes.ts";
import { kafkaSettings } from "../../ingest/kafka/settings.ts";
import { openOfflineStore } from "../../offline-store/delta-table.ts";
import { openDuckDb } from "../../offline-store/open-duckdb.ts";
import { type QueryEngine, sqlText } from "../../offline-store/engine.ts";
import { eventRelation } from "../../offline-store/event-relation.ts";
import { ownFiles } from "../../offline-store/foreign-files.ts";
import type { TableFile } from "../../offline-store/offline-store.ts";
import { PARTITION } from "../../offline-store/partitioned-events.ts";
import { countEventsOfIds, type EventsOfId } from "../../offline-store/retractions.ts";
import type { Registry } from "../../registry/registry.ts";
import { refuseOtherFormat } from "../folder-format.ts";
import { type KafkaGiven, kafkaModules } from "./kafka-worker.ts";

export interface KafkaCorrections {
  readonly registry: Registry;
  readonly clock?: Clock;
  readonly kafka: KafkaGiven;
  /** As `onefold worker --archive` has it. */
  readonly archiveFolder: string;
  readonly source: string;
  readonly corrections: readonly Correction[];
}

export interface KafkaCorrectionResult {
  readonly corrected: number;
  readonly rejected: number;
  /** In the order of the corrections; `partition` of the source's topic that the correction is in. */
  readonly outcomes: readonly KafkaCorrectionOutcome[];
}

export type KafkaCorrectionOutcome =
  | Extract<CorrectionOutcome, { readonly status: "rejected" }>
  | {
      readonly status: "retracted" | "replaced";
      readonly id: string;
      readonly partition: number;
      readonly events: number;
    };

type Connection = InstanceType<Awaited<ReturnType<typeof kafkaModules>>["KafkaConnection"]>;

const FETCH_MS = 1000;

/** Resolves once all that can be made are in the topic. Throws as Kafka does, and for sources that take none. */
export async function correctOnKafka(asked: KafkaCorrections): Promise<KafkaCorrectionResult> {
  const { registry, clock = systemClock, corrections } = asked;
  const source = refuseUncorrectableOnKafka(registry.source(asked.source).definition, corrections);
  const settings = kafkaSettings(asked.kafka);
  const views = registry.views().flatMap(({ definition }) => {
    if (definition.source !== source.name || definition.version === "dev") return [];
    return [{ definition, entity: registry.entity(definition.entity).definition }];
  });
  if (views.length === 0) throw notArchived(source, asked.archiveFolder);
  const topics = new Set(views.map(({ definition }) => internalTopic(settings.prefix, source.name, definition.key)));
  const ids = [...new Set(corrections.map(({ id }) => id))];
  const archived = await eventsOf(asked, source, topics, ids);
  const door = compileDoor(source, views);
  const planned = planCorrections(source, corrections, archived.known, (row) => door.check(row, clock.now()));
  const { outcomes, ...counts } = planned.result(
    planned.rows.map((row, offset) => ({ ...row, offset, knownTime: clock.now() })),
  );
  const { KafkaConnection } = await kafkaModules();
  const connection = new KafkaConnection(settings);
  try {
    const partitions = await sourcePartitions(connection, source, archived.places);
    const records: NewRecord[] = [];
    const told = outcomes.map((outcome, i): KafkaCorrectionOutcome => {
      if (outcome.status === "rejected") return outcome;
      const { status, id, events } = outcome;
      const partition = partitions.get(id)!;
      records.push(recordOf(source, corrections[i]!, partition));
      return { status, id, partition, events };
    });
    await connection.send(records);
    return { ...counts, outcomes: told };
  } finally {
    await connection.close();
  }
}

function recordOf(source: StreamDefinition, correction: Correction, partition: number): NewRecord {
  const value = correction.op === "retract" ? null : Buffer.from(JSON.stringify(correction.event));
  const headers = new Map([[CORRECTS_HEADER, correction.id]]);
  return { topic: source.kafka!.topic, partition, key: null, value, headers };
}

interface ArchivedEvents {
  readonly known: ReadonlyMap<string, EventsOfId>;
  /** By id, where its newest event stands in an internal topic. */
  readonly places: ReadonlyMap<string, FetchFrom>;
}

/** Of each id in the first table that has it: one of a key that came later, or is behind, may lack what another has. */
async function eventsOf(
  { archiveFolder, clock = systemClock }: KafkaCorrections,
  source: StreamDefinition,
  topics: ReadonlySet<string>,
  ids: readonly string[],
): Promise<ArchivedEvents> {
  await refuseOtherFormat(archiveFolder);
  const known = new Map<string, EventsOfId>();
  const places = new Map<string, FetchFrom>();
  const engine = await openDuckDb({ threads: 1 });
  try {
    const store = openOfflineStore(archiveFolder, engine, { clock });
    let isArchived = ids.length === 0;
    for (const topic of topics) {
      const left = ids.filter((id) => !known.has(id));
      const table = left.length === 0 ? null : await store.find(`events/${topic}`);
      if (table === null) continue;
      isArchived = true;
      const files = await ownFiles(table);
      const relation = (some: readonly TableFile[]): string => eventRelation(some, [PARTITION]);
      const found = await countEventsOfIds(engine, relation, { files, isPartitioned: true }, left);
      for (const [id, events] of found) known.set(id, events);
      for (const [id, place] of await placesOf(engine, relation(files), left)) places.set(id, { topic, ...place });
    }
    if (!isArchived) throw notArchived(source, archiveFolder);
    return { known, places };
  } finally {
    await engine.close();
  }
}

async function placesOf(
  engine: QueryEngine,
  events: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Omit<FetchFrom, "topic">>> {
  const rows = await engine.rows(`SELECT _id AS id, arg_max(_partition, _known_time)::DOUBLE AS "partition",
      arg_max(_offset, _known_time)::DOUBLE AS "offset"
    FROM ${events} WHERE _event_time IS NOT NULL AND _id IN (${ids.map(sqlText).join(", ")}) GROUP BY 1`);
  return new Map(
    rows.map((row) => [String(row["id"]), { partition: Number(row["partition"]), offset: Number(row["offset"]) }]),
  );
}

/** By id. An event whose record the topic has dropped tells nothing of where it came from: then any partition does. */
async function sourcePartitions(
  connection: Connection,
  source: StreamDefinition,
  places: ArchivedEvents["places"],
): Promise<ReadonlyMap<string, number>> {
  const name = source.kafka!.topic;
  const facts = (await connection.topics([name])).get(name);
  if (facts === undefined) throw new OnefoldError("KAFKA_TOPIC_UNFIT", `there is no topic ${name}`, { where: name });
  const partitions = new Map<string, number>();
  for (const [id, place] of places) {
    const origin = await originAt(connection, place);
    const isOfTopic = origin?.partition.startsWith(`${facts.id}/`) === true;
    const from = isOfTopic ? Number(origin.partition.slice(facts.id.length + 1)) : Number.NaN;
    partitions.set(id, from < facts.partitionCount ? from : partitionOfKey(Buffer.from(id), facts.partitionCount));
  }
  return partitions;
}

async function originAt(connection: Connection, place: FetchFrom) {
  try {
    const [fetched] = await connection.fetch([place], FETCH_MS);
    const record = fetched?.records.find((each) => each.offset === place.offset);
    return record === undefined ? null : parseOrigin(record.headers().get(ORIGIN_HEADER)?.toString() ?? "");
  } catch (error) {
    if (isOnefoldError(error) && error.code === "KAFKA_RECORDS_GONE") return null;
    throw error;
  }
}

function notArchived({ name }: StreamDefinition, folder: string): OnefoldError {
  return new OnefoldError("FILE_UNREADABLE", `workers have archived no events of source ${name}`, {
    where: folder,
    hint: "name the folder of onefold worker --archive, and its --kafka-prefix",
  });
}
