import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/longest-first.ts";

/** What is held to a time or to a rate has the machine to itself; all others share it. */
const TIMED = [
  "test/bench/serving/{open-loop,payment-writer}.test.ts",
  "test/ingest/hot-states.test.ts",
  "test/online-store/redis/redis-outages.test.ts",
  "test/serve/http-server.test.ts",
];

/** Each kills, pauses or cuts off real servers, and wants them alone. */
const FAULTS = [
  "test/faults/*.test.ts",
  "test/offline-store/engine-apart.test.ts",
  "test/online-store/redis/cluster-start.test.ts",
  "test/ingest/kafka/corrections.test.ts",
  "test/ingest/kafka/corrections-killed.test.ts",
  "test/ingest/kafka/drafts.test.ts",
  "test/ingest/kafka/kill-nine.test.ts",
  "test/ingest/kafka/late-views.test.ts",
  "test/ingest/kafka/source-evolution.test.ts",
  "test/ingest/kafka/source-ids.test.ts",
  "test/ingest/kafka/worker.test.ts",
  "test/platform/backfill-corrected.test.ts",
  "test/platform/fold-apart.test.ts",
  "test/platform/forgetting-shared.test.ts",
  "test/platform/kafka/forget-drafts.test.ts",
  "test/platform/kafka/forgetting.test.ts",
  "test/platform/kafka/topic-findings.test.ts",
  "test/platform/kill-nine.test.ts",
  "test/platform/shared-registry.test.ts",
  "test/platform/workers.test.ts",
  "test/services/components.test.ts",
  "test/services/start-anew.test.ts",
];

/** What a user does, from the first command to the last: the documents' pages, the demos, the benchmarks. */
const JOURNEYS = [
  "test/bench/false-alarms.test.ts",
  "test/bench/serving.test.ts",
  "test/clients/python.test.ts",
  "test/bench/stream.test.ts",
  "test/bench/training.test.ts",
  "test/cli/backfill.test.ts",
  "test/cli/bad-labels.test.ts",
  "test/cli/batch-reads.test.ts",
  "test/cli/batch-runs.test.ts",
  "test/cli/plan.test.ts",
  "test/cli/quality.test.ts",
  "test/cli/dev.test.ts",
  "test/cli/drift.test.ts",
  "test/cli/experiments.test.ts",
  "test/cli/fit-beside-server.test.ts",
  "test/cli/fit.test.ts",
  "test/cli/forget.test.ts",
  "test/cli/freshness.test.ts",
  "test/cli/kafka-corrections.test.ts",
  "test/cli/kafka-forgetting.test.ts",
  "test/cli/otlp.test.ts",
  "test/cli/packed.test.ts",
  "test/cli/serve-alerts.test.ts",
  "test/cli/serve-online.test.ts",
  "test/cli/serve-training.test.ts",
  "test/cli/serve.test.ts",
  "test/cli/shared-registry.test.ts",
  "test/cli/tables.test.ts",
  "test/cli/test-command.test.ts",
  "test/cli/train-resume.test.ts",
  "test/cli/versions.test.ts",
  "test/cli/worker-tables.test.ts",
  "test/deploy/prometheus.test.ts",
  "test/docs/cli-page.test.ts",
  "test/docs/kafka-page.test.ts",
  "test/docs/polling-page.test.ts",
  "test/docs/quickstart.test.ts",
  "test/docs/training-page.test.ts",
  "test/docs/training-sets-page.test.ts",
  "test/offline-store/spark.test.ts",
  "test/platform/monitoring/drift-month.test.ts",
  "test/platform/monitoring/folded-drift.test.ts",
  "test/platform/monitoring/otlp.test.ts",
  "test/platform/online/kafka-freshness.test.ts",
  "test/platform/online/online-monitoring.test.ts",
  "test/platform/training-jobs/*.test.ts",
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

/**
 * Files that leave nothing behind in their process run one after the other in one, and what they import is loaded there once:
 * half a second less for each. Not so where memory is measured, the process's settings are changed, or hooks stand in a
 * module that several files import.
 */
const SHARING = [
  "test/{base,client,define,fold,monitor,offline-store,registry,schema,serve,training,vector}/**/*.test.ts",
  "test/ingest/**/*.test.ts",
  "test/platform/**/*.test.ts",
  "test/testing/e*.test.ts",
];
const ALONE = [
  "test/base/sync-path.test.ts",
  "test/fold/unheard.test.ts",
  "test/ingest/{expectations,history-import,import-door}.test.ts",
  "test/ingest/http-poll/poll-loop.test.ts",
  "test/monitor/metrics/{metrics,usage}.test.ts",
  "test/offline-store/csv-file.test.ts",
  "test/platform/{batch-source,corrections,dead-letter-desk,drafts,kept-answers,kept-answers-fuzz,on-demand}.test.ts",
  "test/platform/{polled-source,push-over-http}.test.ts",
  "test/platform/monitoring/{monitoring,usage}.test.ts",
  "test/platform/online/*.test.ts",
  "test/serve/http-fast/{connection,fuzz}.test.ts",
  "test/serve/{http-examples,kept-answers,on-demand-failures,request-body}.test.ts",
  "test/serve/resp/{body-commands,clients,fuzz,limits,redis-tools,same-as-http}.test.ts",
];

const NOT_QUICK = [...TIMED, ...FAULTS, ...JOURNEYS];

/** What may differ from one Node to the next: arithmetic, bytes, native packages, threads, HTTP's parser, sockets, V8's flags. */
const BY_NODE = [
  "test/{base,client,define,fold,ingest,offline-store,schema,serve,training,vector}/**/*.test.ts",
  "test/platform/{every-mode,feature-platform,transformations}.test.ts",
  "test/testing/e*.test.ts",
];
/** Of that, what others do: brokers, Redis, Python; and what computes once more with what the rest has shown. */
const NOT_BY_NODE = [
  "test/base/starved-process.test.ts",
  "test/ingest/kafka/**",
  "test/offline-store/table-readers.test.ts",
  "test/online-store/redis/{cluster-replicas,large-writes,redis-outages,valkey}.test.ts",
  "test/serve/feast-client.test.ts",
  "test/offline-store/table-crash.test.ts",
  "test/training/{audit,bad-labels,corrected-tasks,entity-sample,generated-spine,leakage,several-services}.test.ts",
];

/** `npm test` runs what is quick; `npm run test:long` the rest, `npm run test:faults` the faults alone, each by name. */
const which = process.env["ONEFOLD_TESTS"];

const alias = [
  { find: /^onefold$/, replacement: `${import.meta.dirname}/src/index.ts` },
  { find: /^onefold\/testing$/, replacement: `${import.meta.dirname}/src/testing/index.ts` },
];
const shared = {
  pool: "forks",
  // Room for a machine that is slow and busy, and for a component that has to be started three times.
  testTimeout: 180_000,
  hookTimeout: 240_000,
  expect: { poll: { timeout: 60_000 } },
  setupFiles: "test/repeatable-properties.ts",
} as const;

/** One more than a small machine's cores: some wait for a server, a process, a broker or a timer. */
const WORKERS = 3;

const project = (name: string, include: string[], maxWorkers: number, groupOrder: number, more: object = {}) => ({
  resolve: { alias },
  test: { ...shared, name, include, maxWorkers, sequence: { groupOrder }, ...more },
});

const quick = [
  project("suite", ["test/**/*.test.ts"], WORKERS, 0, { exclude: [...NOT_QUICK, ...SHARING] }),
  project("alone", ALONE, WORKERS, 0, { exclude: NOT_QUICK }),
  project("shared", SHARING, WORKERS, 0, { exclude: [...NOT_QUICK, ...ALONE], isolate: false }),
  // Somebody else may have taken the processor: once more.
  project("timed", TIMED, 1, 1, { retry: 2 }),
];
/** Without the outages and the workers, whose processes and servers are other programs. */
const node24 = [
  project("suite", ["test/online-store/**/*.test.ts", "test/{testing/door,cli/collections}.test.ts"], 2, 0, {
    exclude: NOT_BY_NODE,
  }),
  project("alone", ALONE, 2, 0, { exclude: [...NOT_QUICK, ...NOT_BY_NODE, "test/{monitor,platform}/**"] }),
  project("shared", BY_NODE, 2, 0, { exclude: [...NOT_QUICK, ...ALONE, ...NOT_BY_NODE], isolate: false }),
  project("timed", ["test/ingest/hot-states.test.ts", "test/serve/http-server.test.ts"], 1, 1, { retry: 2 }),
];
/** Each starts servers and processes that take a core themselves. */
const long = [project("journeys", JOURNEYS, WORKERS, 0), project("faults", FAULTS, 2, 1)];

export default defineConfig({
  test: {
    globalSetup: "test/services/desk.ts",
    sequence: { sequencer: LongestFirst },
    projects: which === "long" ? long : which === "node24" ? node24 : quick,
  },
});
