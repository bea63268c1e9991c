/** The page's definitions load, serve and train, and answer what it says. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { loadDefinitions } from "../../src/cli/load-definitions.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { openPlatform } from "../../src/platform.ts";

const page = readFileSync(new URL("../../docs/on-demand.md", import.meta.url), "utf8");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "onefold-on-demand-page-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]!);
}

describe("docs/on-demand.md", () => {
  it("shows files that serve and train what the page says", async () => {
    for (const name of ["payments.ts", "unusual.ts", "features.ts"])
      writeFileSync(join(folder, name), blocks(`ts ${name}`)[0]!);
    const file = join(folder, "features.ts");
    const { definitions } = await loadDefinitions(file);
    const fingerprints = async (): Promise<(string | undefined)[]> =>
      (await loadDefinitions(file)).definitions.flatMap((one) => (one.kind === "on-demand" ? [fingerprint(one)] : []));
    const before = await fingerprints();
    expect(before).toHaveLength(1);
    const text = blocks("ts features.ts")[0]!;
    writeFileSync(file, `${text}export const other = service("other", { features: [unusual] });\n`);
    expect(await fingerprints()).toEqual(before);
    writeFileSync(file, text);
    const clock = new ReplayClock(parseMicros("2026-01-05T09:40:00Z"));
    const platform = await openPlatform({ dataDir: join(folder, "data"), definitions, clock, servingLogSampleRate: 1 });
    try {
      await platform.apply(definitions);
      await platform.push("payments", [
        { payment_id: "1", user_id: "ada", paid_at: "2026-01-05T09:30:00Z", amount: 10 },
        { payment_id: "2", user_id: "ada", paid_at: "2026-01-05T09:40:00Z", amount: 30 },
      ]);
      clock.advanceTo(parseMicros("2026-01-05T10:00:00Z"));
      const [body, said] = blocks("json").map((text) => JSON.parse(text) as Record<string, unknown>);
      const { features } = await platform.request("POST", "/services/fraud/vector", body);
      expect(features).toEqual(said);

      clock.advanceTo(parseMicros("2026-01-05T10:00:01Z"));
      const labels = join(folder, "labels.csv");
      writeFileSync(labels, "user_id,t,amount,channel\nada,2026-01-05T10:00:00Z,60,\n");
      await platform.settle();
      const set = await platform.train({ service: "fraud", labels });
      expect(Object.fromEntries(set.columns.map((column) => [column.name, column.value(0)]))).toEqual(said);
      expect(await platform.audit()).toMatchObject({ vectors: 1, clean: true });
    } finally {
      await platform.close();
    }
  });
});
