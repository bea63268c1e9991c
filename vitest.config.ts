import { defineConfig } from "vitest/config";

/** What is held to a time or to a rate has the machine to itself; all others share it. */
const TIMED = [
  "test/bench/serving.test.ts",
  "test/ingest/hot-states.test.ts",
  "test/online-store/redis/redis-outages.test.ts",
  "test/platform/workers.test.ts",
  "test/serve/http-server.test.ts",
];

/** Long ones, which kill and pause servers or run all that there is together: `npm run test:faults`. */
const FAULTS = [
  "test/faults/*.test.ts",
  "test/bench/stream.test.ts",
  "test/cli/shared-registry.test.ts",
  "test/cli/worker-tables.test.ts",
  "test/docs/kafka-page.test.ts",
  "test/examples/kafka-demo.test.ts",
  "test/ingest/kafka/drafts.test.ts",
  "test/ingest/kafka/kill-nine.test.ts",
  "test/ingest/kafka/late-views.test.ts",
  "test/ingest/kafka/source-ids.test.ts",
  "test/ingest/kafka/worker.test.ts",
  "test/platform/shared-registry.test.ts",
  "test/services/components.test.ts",
];
const withFaults = process.env["ONEFOLD_FAULTS"] === "1";

const alias = [
  { find: /^onefold$/, replacement: `${import.meta.dirname}/src/index.ts` },
  { find: /^onefold\/testing$/, replacement: `${import.meta.dirname}/src/testing/index.ts` },
];
const shared = { pool: "forks", testTimeout: 60_000, hookTimeout: 60_000 } as const;

export default defineConfig({
  test: {
    globalSetup: "test/services/desk.ts",
    projects: [
      {
        resolve: { alias },
        test: {
          ...shared,
          name: "suite",
          include: ["test/**/*.test.ts"],
          exclude: [...TIMED, ...FAULTS],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: { ...shared, name: "timed", include: TIMED, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
      ...(withFaults
        ? [
            {
              resolve: { alias },
              test: {
                ...shared,
                name: "faults",
                include: FAULTS,
                testTimeout: 180_000,
                maxWorkers: 1,
                sequence: { groupOrder: 2 },
              },
            },
          ]
        : []),
    ],
  },
});
