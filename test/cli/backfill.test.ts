/** `apply`, `drop` and `backfill` beside a running server, which does the work. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deskPath } from "../../src/cli/desk-path.ts";
import { cliPath } from "./run-cli.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

let project: string;
let folder: string;
let server: ChildProcess | null = null;
let url: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-backfill-cli-"));
  await runCli(["init", "shop"], folder);
  project = join(folder, "shop");
  await runCli(["apply"], project);
  await runCli(["ingest", "events.ndjson", "--source", "payments"], project);
  await serve();
});

afterEach(async () => {
  server?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

async function serve(...more: string[]): Promise<void> {
  const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json", ...more], {
    cwd: project,
    stdio: ["ignore", "pipe", "inherit"],
  });
  server = child;
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  ({ url } = JSON.parse(line.toString()) as { url: string });
}

async function addView(name: string, version: number | string): Promise<void> {
  const file = join(project, "features.ts");
  const code = await readFile(file, "utf8");
  const version_ = JSON.stringify(version);
  const more = `export const ${name} = view("${name}", { version: ${version_}, entity: user, source: payments, features: { n: count() } });`;
  await writeFile(file, `${code}\n${more}\n`);
}

async function read(feature: string): Promise<unknown> {
  const body = JSON.stringify({ entity_type: "user", entity_id: "ada", feature_names: [feature] });
  const response = await fetch(`${url}/features`, { method: "POST", body });
  return ((await response.json()) as { features?: Record<string, unknown> }).features?.[feature];
}

describe("beside a running server", () => {
  it("apply has it compute and serve a new view, backfill says what it takes and does it, drop drops a draft", async () => {
    await addView("visits", 1);
    const cost = await runJson(["backfill", "visits", "--dry-run"], project);
    expect(cost).toMatchObject({
      exitCode: 0,
      result: { view: "visits", cost: { trialEntities: expect.any(Number) } },
    });
    const applied = await runJson(["apply"], project);
    expect(applied).toMatchObject({ exitCode: 0, result: { dirty: true, refused: false } });
    const n = await read("visits:n");
    expect(n).toBeGreaterThan(0);
    const again = await runJson(["backfill", "visits"], project);
    expect(again).toMatchObject({ exitCode: 0, result: { view: "visits", seconds: expect.any(Number) } });
    expect(again.result["cost"]).toEqual({ ...cost.result["cost"], seconds: expect.any(Number) });
    expect(await read("visits:n")).toBe(n);
    expect(await runJson(["backfill", "visitz"], project)).toMatchObject({
      exitCode: 1,
      result: { error: { code: "VIEW_UNKNOWN", candidates: ["visits"] } },
    });
    for (const part of ["--from", "--to"]) {
      const refused = await runCli(["backfill", "visits", part, "2026-01-01"], project);
      expect(refused).toMatchObject({
        exitCode: 2,
        stderr: expect.stringMatching(/from all its events: .*materialize/s),
      });
    }

    await addView("looks", "dev");
    expect((await runJson(["apply"], project)).exitCode).toBe(0);
    expect(await read("looks@dev:n")).toBe(n);
    expect(await runJson(["drop", "looks@dev"], project)).toMatchObject({
      exitCode: 0,
      result: { changes: [{ name: "looks@dev", change: "remove" }] },
    });
  });

  it("apply is refused as it would be without it, and where the file is not the server's", async () => {
    const file = join(project, "features.ts");
    const code = await readFile(file, "utf8");
    await writeFile(file, code.replace("gt(200)", "gt(300)"));
    expect(await runJson(["apply"], project)).toMatchObject({
      exitCode: 3,
      result: { error: { code: "DEFINITION_CHANGED" } },
    });
    await writeFile(join(project, "other.ts"), code);
    expect(await runJson(["apply", "--definitions", "other.ts"], project)).toMatchObject({
      exitCode: 1,
      result: { error: { code: "REQUEST_INVALID", hint: expect.stringContaining("--definitions") } },
    });
  });

  it("only its own user may ask, and nobody is left to ask once it has ended", async () => {
    const path = deskPath(join(project, ".onefold"));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const ended = once(server!, "close");
    server!.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    await expect(stat(path)).rejects.toThrow();
    // A file that a killed one has left is in nobody's way.
    await serve();
    const killed = once(server!, "close");
    server!.kill("SIGKILL");
    await killed;
    expect((await runJson(["apply"], project)).exitCode).toBe(0);
    await serve();
    expect((await runJson(["apply"], project)).exitCode).toBe(0);
  });

  it("a view of its code is served by its workers, too", async () => {
    const ended = once(server!, "close");
    server!.kill("SIGTERM");
    await ended;
    await serve("--workers", "2");
    await addView("visits", 1);
    expect((await runJson(["apply"], project)).exitCode).toBe(0);
    for (let i = 0; i < 6; i++) expect(await read("visits:n")).toBeGreaterThan(0);
  });
});
