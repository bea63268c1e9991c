/** What a server does for the commands of its machine: it applies the definitions that they have planned, and no others. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { type AskedApply, servedWorks } from "../../src/cli/served-works.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { definitionsDigest } from "../../src/registry/plan-review.ts";
import type { Plan } from "../../src/registry/registry.ts";

const FEATURES = `import { count, entity, service, stream, t, view } from "onefold";
const user = entity("user", { user_id: t.string() });
const visits = stream("visits", { columns: { user_id: t.string(), at: t.timestamp() }, eventTime: "at" });
const totals = view("totals", { entity: user, source: visits, features: { visits: count(), lately: count().over("1h") } });
`;
const REVIEWED = `${FEATURES}export const visitor = service("visitor", { features: [totals.pick("visits")] });\n`;
const EDITED = `${FEATURES}export const visitor = service("visitor", { features: [totals.pick("lately")] });\n`;

let folder: string;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-"));
  platform = await openPlatform({ dataDir: join(folder, "data") });
});
afterEach(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

it("applies a file only as it was when it was planned", async () => {
  const file = join(folder, "features.ts");
  await writeFile(file, REVIEWED);
  const digest = definitionsDigest((await loadDefinitions(file)).definitions);
  const apply = (): Promise<unknown> => {
    const asked: AskedApply = { definitions: file, digest, onlyOver: platform.registry.state() };
    return servedWorks(platform, file)["apply"]!(asked as never, () => {}, new AbortController().signal);
  };
  await writeFile(file, EDITED);
  await expect(apply()).rejects.toMatchObject({ code: "PLAN_STALE", where: file });
  expect(platform.registry.services()).toEqual([]);
  // As it was, with a remark.
  await writeFile(file, `// reviewed\n${REVIEWED}`);
  expect(((await apply()) as Plan).dirty).toBe(true);
  expect(platform.registry.service("visitor").definition.features.map(({ feature }) => feature)).toEqual(["visits"]);
});
