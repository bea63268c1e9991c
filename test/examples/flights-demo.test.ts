/**
 * Runs the demo as a newcomer would, on a few days of flights, and checks what its last line claims.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { promised } from "../promised.ts";

interface DemoResult {
  readonly demo: string;
  readonly events: number;
  readonly dead_letters: number;
  readonly training_rows: number;
  readonly audit: { readonly compared: number; readonly mismatched: number };
  readonly auc: Readonly<Record<"as_known" | "leaky", { readonly offline: number; readonly served: number }>>;
  readonly serving_ms: { readonly p50: number; readonly p99: number };
  readonly drift_alert: readonly { readonly unit: string; readonly features: readonly string[] }[];
  readonly seconds: number;
}

describe("the flights demo", () => {
  let output = "";
  let result: DemoResult;

  beforeAll(async () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const folder = mkdtempSync(join(tmpdir(), "onefold-demo-"));
    try {
      const args = ["scripts/demo.mjs", "--small", "--folder", folder];
      output = (await promisify(execFile)(process.execPath, args, { cwd: root })).stdout;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    result = JSON.parse(output.trimEnd().split("\n").at(-1)!) as DemoResult;
  }, 400_000);

  it("ends with one line of JSON", () => {
    expect(result.demo).toBe("flights");
    expect(result.events).toBeGreaterThan(500_000);
    expect(result.training_rows).toBeGreaterThan(20_000);
  });

  it("catches the rows with impossible delays, one in history and one live", () => {
    expect(result.dead_letters).toBe(2);
  });

  it("serves the values that the training set holds, bit for bit", () => {
    expect(output).toContain("all equal what was served live, bit for bit");
    expect(result.auc.as_known.offline).toBe(result.auc.as_known.served);
  });

  it("audits every served value and finds none wrong", () => {
    expect(result.audit.compared).toBeGreaterThan(50_000);
    expect(result.audit.mismatched).toBe(0);
  });

  it("shows an honest model that holds and a leaky one that does not", () => {
    expect(result.auc.as_known.served).toBeGreaterThan(0.6);
    expect(result.auc.leaky.offline).toBeGreaterThan(result.auc.as_known.offline + 0.1);
    expect(result.auc.leaky.served).toBeLessThan(result.auc.as_known.served - 0.02);
  });

  it("is told of delays in seconds after two hours of them, and of no traffic", () => {
    expect(result.drift_alert.map(({ unit }) => unit)).toEqual(["minutes", "seconds", "seconds"]);
    const [before, first, second] = result.drift_alert.map(({ features }) => features);
    const hourly = ["origin_mean_delay_1h", "destination_mean_delay_1h"];
    expect(second).toEqual(expect.arrayContaining(hourly));
    expect([...before!, ...first!].filter((name) => hourly.includes(name))).toEqual([]);
    // Of flights that were early no arrival is taken in, so that fewer land, too.
    expect(second!.filter((name) => /departures|inbound/.test(name))).toEqual([]);
  });

  it("measures serving latency", () => {
    expect(result.serving_ms.p50).toBeGreaterThan(0);
    expect(result.serving_ms.p50).toBeLessThan(promised(50));
    expect(result.serving_ms.p99).toBeGreaterThanOrEqual(result.serving_ms.p50);
  });
});
