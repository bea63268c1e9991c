/** The payments of the Kafka tests for `onefold worker`; the topic is in the environment. */
import type { StreamDefinition } from "../../../src/define/definition.ts";
import { payments as source, shop, shopView, user, userView } from "../payments.ts";

export const payments: StreamDefinition = { ...source, kafka: { topic: process.env["ONEFOLD_TEST_TOPIC"]! } };

export { shop, shopView, user, userView };
