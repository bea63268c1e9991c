/**
 * The topics that a worker needs: sources' topics must be there and fit, internal ones are made.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import type { KafkaConnection } from "./connection.ts";
import type { TopicFacts } from "./records.ts";
import { type RouteParts, routeParts } from "./route-parts.ts";
import { readEvent } from "./router.ts";
import type { SourceRoutes } from "./routes.ts";

const MEGABYTE = 1024 * 1024;
/** Routed records carry headers beside what came: larger than a source's topic lets in by default. */
const RECORD_BYTES_MAX = 16 * MEGABYTE;
/** Of each partition, the newest. */
const RECORDS_LOOKED_AT = 100;

/** Facts of all topics of the plans, dead letters' included. Throws `KAFKA_TOPIC_UNFIT`, `KAFKA_UNAVAILABLE`. */
export async function prepareTopics(
  connection: KafkaConnection,
  plans: readonly SourceRoutes[],
): Promise<Map<string, TopicFacts>> {
  const present = await connection.topics(allTopics(plans));
  const problems = await sourceTopicProblems(connection, plans, present);
  if (problems.length > 0) throw problems[0]!;
  const { partitionCount, replicas } = connection.settings;
  const sizes = { "max.message.bytes": String(RECORD_BYTES_MAX) };
  for (const { routes, claims, deadLetterTopic } of plans) {
    for (const { topic, isDirect } of [...routes, ...(claims === null ? [] : [claims])]) {
      if (isDirect || present.has(topic)) continue;
      // The order of all events of an entity: what a new view is folded from.
      await connection.createTopic({
        name: topic,
        partitionCount,
        replicas,
        configs: { ...sizes, "retention.ms": "-1" },
      });
    }
    if (present.has(deadLetterTopic)) continue;
    await connection.createTopic({ name: deadLetterTopic, partitionCount: 1, replicas, configs: sizes });
  }
  const all = allTopics(plans);
  for (let tries = 0; tries < 50; tries++) {
    const facts = await connection.topics(all);
    if (all.every((name) => facts.has(name))) return facts;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new OnefoldError("KAFKA_UNAVAILABLE", "topics that were made do not appear");
}

/**
 * What stands against folding the sources from their topics: a topic that is missing; one that is to be folded
 * directly and does not stamp the time of its append, drops records that others replace, or is keyed by something
 * else than the entity, as far as its newest records show.
 */
export async function sourceTopicProblems(
  connection: KafkaConnection,
  plans: readonly SourceRoutes[],
  present: ReadonlyMap<string, TopicFacts>,
): Promise<OnefoldError[]> {
  const problems: OnefoldError[] = [];
  for (const plan of plans) {
    const { source, topic, routes } = plan;
    if (!present.has(topic)) {
      const hint = "make the topic first: its number of partitions is the sender's to choose";
      problems.push(unfit(source.name, `source ${source.name} reads topic ${topic}, and there is none`, hint));
    } else if (routes.some(({ isDirect }) => isDirect)) {
      problems.push(...(await directProblems(connection, plan)));
    }
  }
  return problems;
}

async function directProblems(connection: KafkaConnection, plan: SourceRoutes): Promise<OnefoldError[]> {
  const { source, topic } = plan;
  const settings = await connection.topicSettings(topic);
  const instead = 'or take "direct" away: events are then routed to a topic of the platform\'s own';
  const because = `topic ${topic} cannot be folded directly:`;
  const problems: OnefoldError[] = [];
  if (settings.get("message.timestamp.type") !== "LogAppendTime") {
    const what = `${because} its records carry the sender's time, not that of their append`;
    problems.push(unfit(source.name, what, `set message.timestamp.type=LogAppendTime on the topic, ${instead}`));
  }
  if (settings.get("cleanup.policy")?.includes("compact") === true) {
    const what = `${because} it is compacted, and drops events that later ones of their entity replace`;
    problems.push(unfit(source.name, what, `set cleanup.policy=delete on the topic, ${instead}`));
  }
  const otherKey = await firstOtherKey(connection, plan);
  if (otherKey !== null) {
    problems.push(unfit(source.name, `${because} ${otherKey}`, `key its records by the entity, ${instead}`));
  }
  return problems;
}

/** What is wrong with the key of the first of the newest records that is not keyed by its entity. */
async function firstOtherKey(connection: KafkaConnection, plan: SourceRoutes): Promise<string | null> {
  const { topic } = plan;
  const [{ door, keyOf, route }] = routeParts(plan) as [RouteParts];
  const [starts, ends] = [await connection.offsets(topic, "start"), await connection.offsets(topic, "end")];
  const from = ends.flatMap((end, partition) => {
    const offset = Math.max(starts[partition]!, end - RECORDS_LOOKED_AT);
    return offset < end ? [{ topic, partition, offset }] : [];
  });
  for (const { partition, records } of await connection.fetch(from, 500)) {
    for (const { key, value, offset } of records) {
      try {
        const entityKey = keyOf(readEvent(door, value, Number.POSITIVE_INFINITY as Micros));
        if (key?.toString("utf8") === entityKey) continue;
        const found = key === null ? "no key" : `the key ${JSON.stringify(key.toString("utf8").slice(0, 100))}`;
        const wanted = `${JSON.stringify(entityKey)}, its ${route.key.join(", ")}`;
        return `record ${offset} of partition ${partition} has ${found}, not ${wanted}`;
      } catch {
        // It becomes a dead letter, whatever its key.
      }
    }
  }
  return null;
}

function unfit(source: string, what: string, hint: string): OnefoldError {
  return new OnefoldError("KAFKA_TOPIC_UNFIT", what, { where: source, hint });
}

function allTopics(plans: readonly SourceRoutes[]): string[] {
  return [
    ...new Set(
      plans.flatMap(({ topic, routes, claims, deadLetterTopic }) => [
        topic,
        deadLetterTopic,
        ...(claims === null ? [] : [claims.topic]),
        ...routes.map((one) => one.topic),
      ]),
    ),
  ];
}
