import { defineConfig } from "vitest/config";

/** What is held to a time or to a rate has the machine to itself; all others share it. */
const TIMED = [
  "test/ingest/hot-states.test.ts",
  "test/online-store/redis/redis-outages.test.ts",
  "test/platform/workers.test.ts",
  "test/serve/http-server.test.ts",
];

/** Each kills, pauses or cuts off real servers, and wants them alone. */
const FAULTS = [
  "test/faults/*.test.ts",
  "test/offline-store/engine-apart.test.ts",
  "test/ingest/kafka/drafts.test.ts",
  "test/ingest/kafka/kill-nine.test.ts",
  "test/ingest/kafka/late-views.test.ts",
  "test/ingest/kafka/source-ids.test.ts",
  "test/ingest/kafka/worker.test.ts",
  "test/platform/backfill-corrected.test.ts",
  "test/platform/fold-apart.test.ts",
  "test/platform/forgetting-shared.test.ts",
  "test/platform/kill-nine.test.ts",
  "test/platform/shared-registry.test.ts",
  "test/services/components.test.ts",
];

/** What a user does, from the first command to the last: the documents' pages, the demos, the benchmarks. */
const JOURNEYS = [
  "test/bench/serving.test.ts",
  "test/clients/python.test.ts",
  "test/bench/stream.test.ts",
  "test/bench/training.test.ts",
  "test/cli/backfill.test.ts",
  "test/cli/bad-labels.test.ts",
  "test/cli/batch-reads.test.ts",
  "test/cli/plan.test.ts",
  "test/cli/quality.test.ts",
  "test/cli/dev.test.ts",
  "test/cli/drift.test.ts",
  "test/cli/experiments.test.ts",
  "test/cli/fit.test.ts",
  "test/cli/freshness.test.ts",
  "test/cli/otlp.test.ts",
  "test/cli/serve-alerts.test.ts",
  "test/cli/serve-training.test.ts",
  "test/cli/shared-registry.test.ts",
  "test/cli/tables.test.ts",
  "test/cli/worker-tables.test.ts",
  "test/deploy/prometheus.test.ts",
  "test/docs/cli-page.test.ts",
  "test/docs/kafka-page.test.ts",
  "test/docs/polling-page.test.ts",
  "test/docs/quickstart.test.ts",
  "test/docs/training-page.test.ts",
  "test/docs/training-sets-page.test.ts",
  "test/offline-store/spark.test.ts",
  "test/platform/monitoring/otlp.test.ts",
  "test/platform/online/kafka-freshness.test.ts",
  "test/platform/online/online-monitoring.test.ts",
  "test/platform/training-jobs/asked-options.test.ts",
  "test/examples/flights-demo.test.ts",
  "test/examples/gitops.test.ts",
  "test/examples/kafka-demo.test.ts",
  "test/examples/notebook.test.ts",
  "test/examples/watched-flights.test.ts",
  "test/platform/experiment-life.test.ts",
  "test/platform/quality.test.ts",
  "test/platform/skew.test.ts",
  "test/platform/source-evolution.test.ts",
];

/** `npm test` runs what is quick; `npm run test:long` the rest, `npm run test:faults` the faults alone. */
const long = process.env["ONEFOLD_TESTS"] === "long";

const alias = [
  { find: /^onefold$/, replacement: `${import.meta.dirname}/src/index.ts` },
  { find: /^onefold\/testing$/, replacement: `${import.meta.dirname}/src/testing/index.ts` },
];
const shared = {
  pool: "forks",
  testTimeout: 60_000,
  hookTimeout: 60_000,
  setupFiles: "test/repeatable-properties.ts",
} as const;

const project = (name: string, include: string[], maxWorkers: number, groupOrder: number, more: object = {}) => ({
  resolve: { alias },
  test: { ...shared, name, include, maxWorkers, sequence: { groupOrder }, ...more },
});

export default defineConfig({
  test: {
    globalSetup: "test/services/desk.ts",
    projects: long
      ? [
          project("journeys", JOURNEYS, 2, 0, { testTimeout: 180_000 }),
          project("faults", FAULTS, 1, 1, { testTimeout: 180_000 }),
        ]
      : [
          project("suite", ["test/**/*.test.ts"], 2, 0, { exclude: [...TIMED, ...FAULTS, ...JOURNEYS] }),
          project("timed", TIMED, 1, 1),
        ],
  },
});
