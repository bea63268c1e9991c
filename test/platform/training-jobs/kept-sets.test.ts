/** Which sets are kept: the newest that is there, whatever came of jobs behind it, and none is taken for lost that cannot be read for now. */
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { JobFolder } from "../../../src/platform/training-jobs/job-folder.ts";
import { JobsWorld } from "./jobs-world.ts";

describe("the newest set", () => {
  let world: JobsWorld;
  afterEach(() => world.close());

  const isKept = async (set: string): Promise<void> => {
    // What is too much goes right behind the end of a job: two turns of the queue later it would be gone.
    for (let round = 0; round < 2; round++) await world.ended(await failing());
    expect((await world.ask("GET", `/training-sets/${set}`)).status).toBe(200);
  };

  async function failing(): Promise<string> {
    const rows = [{ user_id: null, t: "2026-03-01T11:00:00Z" }];
    const { body } = await world.ask("POST", "/training-sets", { service: "fraud", labels: { rows } });
    return body["id"];
  }

  it("is kept whatever it takes, also when jobs behind it fail", async () => {
    world = await JobsWorld.open({ keptBytesMax: 1 });
    const set = await world.begin();
    expect((await world.ended(set)).state).toBe("done");
    await isKept(set);
  });

  it("is kept whatever it takes, also when one behind it is cancelled", async () => {
    world = await JobsWorld.open({ keptBytesMax: 1 });
    const set = await world.begin();
    expect((await world.ended(set)).state).toBe("done");
    const other = await world.begin();
    await world.ask("DELETE", `/training-sets/${other}`);
    await isKept(set);
  });
});

it("a set whose job cannot be read for now is left alone, and no other", async () => {
  const data = await mkdtemp(join(tmpdir(), "onefold-kept-sets-"));
  try {
    const sets = join(data, "training-sets");
    for (const id of ["unread", "torn", "upload"]) {
      await mkdir(join(sets, id), { recursive: true });
      await writeFile(join(sets, id, "set.parquet"), "much work");
    }
    // ELOOP, where a disk in trouble says EIO.
    await symlink("job.json", join(sets, "unread", "job.json"));
    await writeFile(join(sets, "torn", "job.json"), '{"id": "torn"');
    expect(await new JobFolder(data).readAll()).toEqual([]);
    expect(await readdir(sets)).toEqual(["unread"]);
  } finally {
    await rm(data, { recursive: true });
  }
});
