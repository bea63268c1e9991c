/**
 * The topics that a worker needs: sources' topics must be there and fit, internal ones are made.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { KafkaConnection, TopicFacts } from "./connection.ts";
import type { SourceRoutes } from "./routes.ts";

const MEGABYTE = 1024 * 1024;
/** Routed records carry headers beside what came: larger than a source's topic lets in by default. */
const RECORD_BYTES_MAX = 16 * MEGABYTE;

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
  for (const { routes, deadLetterTopic } of plans) {
    for (const { topic, isDirect } of routes) {
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
 * directly and does not stamp the time of its append. Whether its records are keyed by the entity shows in each.
 */
export async function sourceTopicProblems(
  connection: KafkaConnection,
  plans: readonly SourceRoutes[],
  present: ReadonlyMap<string, TopicFacts>,
): Promise<OnefoldError[]> {
  const problems: OnefoldError[] = [];
  for (const { source, topic, routes } of plans) {
    if (!present.has(topic)) {
      problems.push(
        new OnefoldError("KAFKA_TOPIC_UNFIT", `source ${source.name} reads topic ${topic}, and there is none`, {
          where: source.name,
          hint: "make the topic first: its number of partitions is the sender's to choose",
        }),
      );
    } else if (routes.some(({ isDirect }) => isDirect) && !(await connection.stampsAppendTime(topic))) {
      problems.push(
        new OnefoldError(
          "KAFKA_TOPIC_UNFIT",
          `topic ${topic} cannot be folded directly: its records carry the sender's time, not that of their append`,
          {
            where: source.name,
            hint: 'set message.timestamp.type=LogAppendTime on the topic, or take "direct" away',
          },
        ),
      );
    }
  }
  return problems;
}

function allTopics(plans: readonly SourceRoutes[]): string[] {
  return [
    ...new Set(
      plans.flatMap(({ topic, routes, deadLetterTopic }) => [
        topic,
        deadLetterTopic,
        ...routes.map((one) => one.topic),
      ]),
    ),
  ];
}
