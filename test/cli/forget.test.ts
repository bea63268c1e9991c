/** `onefold forget`: what it would remove is said before, and all that it refuses is refused before anything is changed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPlatform } from "../../src/index.ts";
import { runHere, runJsonHere } from "./run-here.ts";

const folder = mkdtempSync(join(tmpdir(), "onefold-forget-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DEFINITIONS = `import { count, entity, stream, t, view } from "onefold";
export const user = entity("user", { user: t.string() });
export const page = entity("page", { page: t.string() });
const columns = { user: t.string(), page: t.string(), at: t.timestamp() };
export const visits = stream("visits", { columns, eventTime: "at" });
export const sales = stream("sales", { columns, eventTime: "at", kafka: "sales" });
export const byUser = view("by_user", { entity: user, source: visits, features: { visits: count() } });
export const byPage = view("by_page", { entity: page, source: visits, features: { seen: count() } });
export const bought = view("bought", { entity: user, source: sales, features: { sales: count() } });
`;
/** Nobody listens there. */
const nowhere = ["--archive", "archive", "--online", "redis://127.0.0.1:1", "--kafka", "127.0.0.1:1"];

describe("onefold forget", () => {
  beforeAll(async () => {
    writeFileSync(join(folder, "features.ts"), DEFINITIONS);
    await runJsonHere(["apply", "--data", "data"], folder);
  });

  it("refuses what the data folder refuses before it asks Kafka for anything", async () => {
    for (const dryRun of [[], ["--dry-run"]]) {
      const { exitCode, result } = await runJsonHere(
        ["forget", "user", "ada", "--data", "data", ...nowhere, ...dryRun],
        folder,
      );
      expect(exitCode).not.toBe(0);
      expect(result["error"]).toMatchObject({ code: "FORGET_SHARED", where: "by_page@1" });
    }
    // And then by what is asked of Kafka's.
    const shared = await runJsonHere(["forget", "user", "ada", "--data", "data", ...nowhere, "--shared"], folder);
    expect(shared.result["error"]).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("says with --dry-run what would be removed and where, of those that share its events, too, and changes nothing", async () => {
    const forget = ["forget", "user", "ada", "--data", "data", "--shared"];
    const refused = await runJsonHere([...forget, "--dry-run"], folder);
    expect(refused.result["error"]).toMatchObject({ code: "REQUEST_INVALID", where: "sales" });
    // Without a source on Kafka.
    writeFileSync(join(folder, "features.ts"), DEFINITIONS.replace(/.*(sales|bought).*\n/g, ""));
    const data = ["--data", "alone"];
    expect((await runJsonHere(["apply", ...data], folder)).exitCode).toBe(0);
    const platform = await openPlatform({ dataDir: join(folder, "alone") });
    const at = "2026-01-05T10:00:00Z";
    await platform.push("visits", [
      { user: "ada", page: "a", at },
      { user: "bob", page: "a", at },
      { user: "ada", page: "b", at },
    ]);
    await platform.close();
    const asked = ["forget", "user", "ada", ...data, "--shared", "--dry-run"];
    const { exitCode, result } = await runJsonHere(asked, folder);
    expect(exitCode, JSON.stringify(result)).toBe(0);
    expect(result).toMatchObject({ dry_run: true, entity: "user", key: "ada", sources: ["visits"] });
    const places = result["places"] as { where: string; what: string; count: number | null }[];
    const counts = Object.fromEntries(places.map(({ where, what, count }) => [`${where}: ${what}`, count]));
    expect(counts).toMatchObject({
      "log/visits: events": 2,
      "offline/events/visits: rows": 2,
      "online: states on visits": 1,
      "online: page entities to be folded anew": 2,
    });
    const text = (await runHere(asked, folder)).stdout;
    expect(text).toContain("would be forgotten: user ada; nothing was changed");
    expect(text).toMatch(/^log\/visits +events +2$/m);
    const { result: forgotten } = await runJsonHere(asked.slice(0, -1), folder);
    // Of page b nothing is left.
    expect(forgotten).toMatchObject({ events: 2, states: 1, refolded: 1 });
    expect((await runHere(asked, folder)).stdout).not.toContain("log/visits");
  });
});
