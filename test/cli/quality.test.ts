/** `onefold quality` and `onefold audit --served`, beside a server and without one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDuckDb } from "../../src/offline-store/duckdb.ts";
import { sqlText } from "../../src/offline-store/engine.ts";
import { cliPath } from "./run-cli.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

const FEATURES = `import { count, entity, expectation, last, service, stream, t, view } from "onefold";
export const plant = entity("plant", { plant: t.string() });
export const readings = stream("readings", {
  columns: { plant: t.string(), at: t.timestamp(), celsius: t.float64().nullable() },
  eventTime: "at",
  expect: [
    expectation("celsius", { range: { max: 60 }, severity: "quarantine" }),
    expectation("celsius", { nullRate: { max: 0.5 }, over: "7d" }),
  ],
});
export const heat = view("heat", { entity: plant, source: readings, features: { n: count(), celsius: last("celsius") } });
export const model = service("model", { features: [heat] });
`;

let folder: string;
let server: ChildProcess | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-quality-cli-"));
  await writeFile(join(folder, "features.ts"), FEATURES);
  await runCli(["apply"], folder);
  const at = new Date(Date.now() - 60_000).toISOString();
  const rows = [20, 99, null, 21].map((celsius) => JSON.stringify({ plant: "north", at, celsius }));
  await writeFile(join(folder, "rows.ndjson"), rows.join("\n"));
  await runCli(["ingest", "rows.ndjson", "--source", "readings"], folder);
});
afterEach(async () => {
  server?.kill("SIGKILL");
  server = null;
  await rm(folder, { recursive: true, force: true });
});

describe("onefold quality", () => {
  it("says what is met and what is not, with the day's profile, and exits by it where asked to", async () => {
    const text = await runCli(["quality", "readings"], folder);
    expect(text.exitCode).toBe(0);
    expect(text.stdout).toContain("! celsius_range: celsius is at most 60 [quarantine] not met: 1 of 3, 1 refused");
    expect(text.stdout).toContain("ok celsius_nullRate: celsius is null in at most 50% [warn] 1 of 3");
    expect(text.stdout).toMatch(/^celsius +float64 +3 +1 +20\.5/m);
    expect((await runCli(["quality", "--check"], folder)).exitCode).toBe(4);
    expect((await runCli(["quality", "heat", "--check"], folder)).exitCode).toBe(0);
    expect((await runCli(["quality", "nothing"], folder)).exitCode).toBe(1);

    const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    server = child;
    await once(child.stdout, "data");
    const today = new Date().toISOString().slice(0, 10);
    const { result: beside } = await runJson(["quality", "readings", "--day", today], folder);
    expect(beside).toMatchObject({ day: today, met: false, subjects: [{ source: "readings", view: null }] });
  });
});

describe("onefold audit --served", () => {
  it("compares a Parquet file of the user's own, and exits with 4 where it differs", async () => {
    const path = join(folder, "served.parquet");
    const write = async (celsius: number): Promise<void> => {
      const engine = await openDuckDb({ threads: 1 });
      // Known by then, though perhaps still before the clock that reads it.
      const rows = `SELECT 'north' AS plant, now() AS at, 3::BIGINT AS n, ${celsius}::DOUBLE AS celsius`;
      await engine.run(`COPY (${rows}) TO ${sqlText(path)} (FORMAT parquet)`);
      await engine.close();
    };
    const args = ["audit", "--served", "served.parquet", "--service", "model", "--time-column", "at"];
    await write(21);
    const { result: same } = await runJson(args, folder);
    expect(same).toMatchObject({ rows: 1, compared: 2, clean: true });
    await write(21.5);
    const other = await runCli(args, folder);
    expect(other.exitCode).toBe(4);
    expect(other.stdout).toContain("1 rows: 2 values compared, 1 mismatched, 0 missing, 0 too much");
    expect(other.stdout).toMatch(/^celsius +1 +1 +0 +0 +0\.5/m);
    expect((await runCli([...args, "--tolerance", "0.1"], folder)).exitCode).toBe(0);
    expect((await runCli(["audit", "--served", "served.parquet"], folder)).exitCode).toBe(1);
  });
});
