/** The payments of the Kafka tests for `onefold worker`; the topic is in the environment. */
import type { ServiceDefinition, StreamDefinition } from "../../../src/define/definition.ts";
import { payments as source, shop, shopView, user, userView } from "../payments.ts";

export const payments: StreamDefinition = { ...source, kafka: { topic: process.env["ONEFOLD_TEST_TOPIC"]! } };

/** What a server over workers' states is asked for. */
export const seen: ServiceDefinition = {
  kind: "service",
  name: "seen",
  features: [userView, shopView].flatMap(({ name: view, version, features }) =>
    features.map(({ name: feature }) => ({ view, version, feature, as: feature })),
  ),
};

export { shop, shopView, user, userView };
