/**
 * A day of flights through Kafka and Redis: what was served, the training set and the audit are those of the embedded
 * platform, to the byte.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";

const describeWithKafka = await describeWhere("kafka", { ours: true });
const root = fileURLToPath(new URL("../..", import.meta.url));

describeWithKafka("npm run demo -- --kafka --redis", () => {
  it("ends with the training set and the audit of the embedded platform", { timeout: 300_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "onefold-kafka-demo-"));
    try {
      const args = ["scripts/demo.mjs", "--kafka", "--redis", "--small", "--folder", folder];
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
      const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
      expect(result).toMatchObject({ demo: "flights-kafka-redis", equal: true, served: { different: 0 } });
      expect(result["training_rows"]).toBeGreaterThan(1000);
      expect(result["training_sha256"]).toMatch(/^[0-9a-f]{64}$/);
      const { compared, mismatched } = result["audit"] as { readonly compared: number; readonly mismatched: number };
      expect(compared).toBeGreaterThan(2000);
      expect(mismatched).toBe(0);
      expect(stdout).not.toContain("DIFFERENT");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("is not run with one of the two", async () => {
    const run = promisify(execFile)(process.execPath, ["scripts/demo.mjs", "--kafka"], { cwd: root });
    await expect(run).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("give both") });
  });
});
