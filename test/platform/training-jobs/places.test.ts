/** Places in the queue of training sets that are kept while labels are received. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { TrainingJobs, type TrainingJobsHouse } from "../../../src/platform/training-jobs/training-jobs.ts";
import { NOON } from "./jobs-world.ts";

const ID = "00000000-0000-4000-8000-000000000000";

let folder: string;
let jobs: TrainingJobs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-places-"));
  const house: TrainingJobsHouse = {
    dataDir: folder,
    registryFolder: join(folder, "registry"),
    clock: new ReplayClock(NOON),
    sourcesOf: () => [],
    archive: () => Promise.resolve(null),
  };
  jobs = await TrainingJobs.open(house, { module: "none", waitingMax: 0 });
});
afterEach(async () => {
  await jobs.close();
  await rm(folder, { recursive: true, force: true });
});

it("is not kept where there is nowhere to put the labels", async () => {
  const inTheWay = join(folder, "training-sets");
  await writeFile(inTheWay, "");
  await expect(jobs.reserve("csv", ID)).rejects.toThrow("training-sets");
  await rm(inTheWay);
  expect(await jobs.reserve("csv", ID)).toMatchObject({ id: ID });
});
