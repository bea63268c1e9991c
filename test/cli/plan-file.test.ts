/** What is no plan is refused as that, whatever JSON it is. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { plannedOver } from "../../src/cli/plan-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each(["", "{", "null", "7", '"x"', "[]", "{}", '{"format":"onefold-plan/2","base":"x","definitions":"y"}'])(
  "%j is refused as unreadable",
  async (text) => {
    const file = join(folder, "reviewed.plan");
    await writeFile(file, text);
    await expect(plannedOver(file, [])).rejects.toMatchObject({ code: "FILE_UNREADABLE", where: file });
  },
);
