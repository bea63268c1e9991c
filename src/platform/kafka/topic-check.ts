/**
 * Whether the topics that definitions read are there and fit: what `apply` is asked to look at, and a worker looks at
 * when it starts.
 */
import type { OnefoldError } from "../../base/errors.ts";
import type { Definition } from "../../define/definition.ts";
import { planRoutes } from "../../ingest/kafka/routes.ts";
import { kafkaSettings } from "../../ingest/kafka/settings.ts";
import { kafkaModules, type KafkaGiven } from "./kafka-worker.ts";

/** All that is wrong. Throws `DEFINITION_INVALID`, `KAFKA_UNAVAILABLE`. */
export async function kafkaTopicProblems(
  definitions: readonly Definition[],
  given: KafkaGiven,
): Promise<readonly OnefoldError[]> {
  const settings = kafkaSettings(given);
  const plans = planRoutes(definitions, settings.prefix);
  if (plans.length === 0) return [];
  const { KafkaConnection, sourceTopicProblems } = await kafkaModules();
  const connection = new KafkaConnection(settings);
  try {
    const present = await connection.topics(plans.map(({ topic }) => topic));
    return await sourceTopicProblems(connection, plans, present);
  } finally {
    await connection.close();
  }
}
