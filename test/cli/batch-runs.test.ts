/** `onefold run` and `onefold runs`: a batch source read by hand, here and by the server, and how that went. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cliPath } from "./run-cli.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

const FEATURES = `import { batch, entity, service, sum, t, view } from "onefold";
export const rider = entity("rider", { rider_id: t.string() });
const columns = { rider_id: t.string(), rated_at: t.timestamp(), stars: t.int64() };
export const ratings = batch("ratings", {
  columns, eventTime: "rated_at", format: "csv", location: "ratings/*.csv", schedule: "0 3 1 1 *",
});
export const complaints = batch("complaints", {
  columns, eventTime: "rated_at", format: "csv", location: "complaints/*.csv",
});
export const rating = view("rating", { entity: rider, source: ratings, features: { stars: sum("stars") } });
export const model = service("model", { features: [rating] });
`;

let folder: string;
let server: ChildProcess | null = null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-batch-runs-"));
  await writeFile(join(folder, "features.ts"), FEATURES);
  await mkdir(join(folder, "ratings"));
  await runCli(["apply"], folder);
});
afterEach(async () => {
  server?.kill("SIGKILL");
  server = null;
  await rm(folder, { recursive: true, force: true });
});

async function writeRatings(name: string, ...lines: readonly string[]): Promise<void> {
  await writeFile(join(folder, "ratings", name), ["rider_id,rated_at,stars", ...lines].join("\n"));
}

async function stars(...more: readonly string[]): Promise<unknown> {
  const { result } = await runJson(["get", "--service", "model", "--entity", "rider_id=ana", ...more], folder);
  return (result["features"] as Record<string, unknown>)["stars"];
}

describe("onefold run", () => {
  it("reads what is new, and runs says how it went, of each source that it can", async () => {
    await writeRatings("1.csv", "ana,2026-03-01T00:00:00Z,5", "ana,2026-03-01T01:00:00Z,many");
    expect(await runJson(["run", "ratings"], folder)).toMatchObject({
      exitCode: 0,
      result: { run: { status: "succeeded", rows: 2, accepted: 1, rejected: 1, attempts: 1, error: null } },
    });
    expect(await stars()).toBe(5);
    const { result: listed } = await runJson(["sources"], folder);
    expect(listed["sources"]).toMatchObject([
      { name: "complaints", batch: { schedule: null, last_success_at: null, next_due_at: null } },
      { name: "ratings", batch: { schedule: "0 3 1 1 *", last_success_at: expect.stringMatching(/^20/), failures: 0 } },
    ]);
    const { stdout: sources } = await runCli(["sources"], folder);
    expect(sources).toMatch(/^ratings +batch +3 +0 3 1 1 \* +20[^ ]+ +nobody reads +0 +-/m);
    expect(sources).toMatch(/^complaints +batch +3 +by hand +never +- +0 +-/m);
    await writeRatings("2.csv", "ana,2026-03-01T02:00:00Z");
    expect(await runJson(["run", "ratings"], folder)).toMatchObject({
      exitCode: 1,
      result: { error: { code: "FILE_UNREADABLE", where: expect.stringContaining("2.csv") } },
    });
    expect(await runJson(["run", "rider"], folder)).toMatchObject({
      exitCode: 1,
      result: { error: { code: "SOURCE_UNKNOWN" } },
    });

    const state = join(folder, ".onefold", "batch", "complaints", "state.json");
    expect((await runJson(["run", "complaints"], folder)).exitCode).toBe(0);
    const whole = await readFile(state, "utf8");
    await writeFile(state, "{");
    const { exitCode, result } = await runJson(["runs"], folder);
    expect(exitCode).toBe(1);
    expect(result["sources"]).toMatchObject([
      {
        source: "complaints",
        error: { code: "STORAGE_FAILED", where: expect.stringMatching(/complaints.state.json$/) },
      },
      {
        source: "ratings",
        schedule: "0 3 1 1 *",
        error: null,
        failures: 1,
        runs: [
          { status: "failed", error: { code: "FILE_UNREADABLE" } },
          { status: "succeeded", rows: 2 },
        ],
      },
    ]);
    expect((await runCli(["runs"], folder)).stdout).toMatch(/complaints\nSTORAGE_FAILED: .*\n\nratings \(/s);
    expect((await runJson(["run", "complaints"], folder)).result["error"]).toMatchObject({ code: "STORAGE_FAILED" });
    await writeFile(state, whole);
    expect((await runJson(["runs"], folder)).exitCode).toBe(0);
  });

  it("has the server of the folder do it, which tells of a source that it cannot read", async () => {
    await writeRatings("1.csv", "ana,2026-03-01T00:00:00Z,5");
    await mkdir(join(folder, ".onefold", "batch", "complaints"), { recursive: true });
    await writeFile(join(folder, ".onefold", "batch", "complaints", "state.json"), "{");
    const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    server = child;
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { url } = JSON.parse(line.toString()) as { url: string };
    expect(await runJson(["run", "ratings"], folder)).toMatchObject({ exitCode: 0, result: { run: { accepted: 1 } } });
    expect(await stars("--url", url)).toBe(5);
    expect((await runJson(["run", "complaints"], folder)).result["error"]).toMatchObject({ code: "STORAGE_FAILED" });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^onefold_batch_failing\{source="ratings"\} 0$/m);
    expect(metrics).toMatch(/^onefold_batch_failing\{source="complaints"\} [1-9]/m);
  });
});
