/**
 * What takes long begins first, so that at the end no core waits for one file alone. Vitest knows how long each took where it
 * has run before; on a fresh clone it takes the file with the most bytes for the longest.
 */
import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files of more than some ten seconds, the longest first. */
const LONGEST: readonly string[] = [
  "test/clients/python.test.ts",
  "test/faults/redis-failover.test.ts",
  "test/bench/serving.test.ts",
  "test/cli/kafka-forgetting.test.ts",
  "test/bench/stream.test.ts",
  "test/faults/kafka.test.ts",
  "test/cli/bad-labels.test.ts",
  "test/serve/resp/fuzz.test.ts",
  "test/serve/http-fast/fuzz.test.ts",
  "test/serve/feast-client.test.ts",
  "test/bench/allocations.test.ts",
  "test/examples/watched-flights.test.ts",
  "test/platform/kill-nine.test.ts",
  "test/examples/flights-demo.test.ts",
  "test/cli/kafka-corrections.test.ts",
  "test/cli/plan.test.ts",
  "test/cli/commands.test.ts",
  "test/cli/closed-output.test.ts",
  "test/platform/workers.test.ts",
  "test/faults/forget-paused-worker.test.ts",
  "test/platform/kafka/forget-drafts.test.ts",
  "test/examples/kafka-demo.test.ts",
  "test/ingest/kafka/corrections-killed.test.ts",
  "test/services/components.test.ts",
  "test/cli/backfill.test.ts",
  "test/faults/stuck-worker.test.ts",
  "test/offline-store/spark.test.ts",
  "test/docs/quickstart.test.ts",
  "test/cli/dev.test.ts",
  "test/faults/full-disk-worker.test.ts",
  "test/cli/versions.test.ts",
  "test/bench/training.test.ts",
  "test/examples/gitops.test.ts",
  "test/ingest/kafka/kill-nine.test.ts",
  "test/faults/full-disk.test.ts",
  "test/online-store/redis/cluster-start.test.ts",
  "test/fold/fold-equals-oracle.test.ts",
  "test/examples/notebook.test.ts",
  "test/ingest/kafka/corrections.test.ts",
  "test/platform/batch-source.test.ts",
  "test/cli/train-resume.test.ts",
  "test/ingest/rebuild.test.ts",
  "test/platform/backfill-corrected.test.ts",
  "test/training/train-limits.test.ts",
  "test/cli/shared-registry.test.ts",
  "test/platform/training-jobs/training-jobs.test.ts",
  "test/cli/serve.test.ts",
  "test/faults/backfill-killed.test.ts",
  "test/faults/backfill-engine.test.ts",
  "test/platform/online/serve-online.test.ts",
  "test/platform/push-over-http.test.ts",
  "test/cli/fit-beside-server.test.ts",
  "test/faults/alerts-killed.test.ts",
  "test/registry/postgres-registry.test.ts",
  "test/faults/kafka-access.test.ts",
  "test/platform/corrections.test.ts",
  "test/platform/kept-answers.test.ts",
  "test/serve/http-fast/connection.test.ts",
  "test/cli/test-command.test.ts",
  "test/ingest/import-door.test.ts",
  "test/platform/every-mode.test.ts",
  "test/cli/serve-alerts.test.ts",
  "test/cli/experiments.test.ts",
  "test/types/types.test.ts",
  "test/offline-store/table-crash.test.ts",
  "test/ingest/kafka/connection.test.ts",
  "test/cli/serve-online.test.ts",
];
const PLACES: ReadonlyMap<string, number> = new Map(LONGEST.map((file, place) => [file, place]));

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const projects = new Map(sorted.map(({ project }, place) => [project.name, place]));
    const place = ({ moduleId }: TestSpecification): number =>
      PLACES.get(relative(this.ctx.config.root, moduleId).replaceAll("\\", "/")) ?? LONGEST.length;
    // Projects stay one behind the other: files of one may share its processes.
    return sorted.toSorted(
      (a, b) => projects.get(a.project.name)! - projects.get(b.project.name)! || place(a) - place(b),
    );
  }
}
