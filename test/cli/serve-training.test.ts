/** `onefold serve --workers` builds training sets, with the code of the definitions file, and says what became of them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { TrainingJob } from "../../src/serve/training-desk.ts";
import { cliPath, runCli, runJson } from "./run-cli.ts";

let folder: string;
let server: ChildProcess | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-serve-training-"));
});
afterEach(async () => {
  server?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const DEFINITIONS = `
import { custom, entity, last, service, stream, t, view } from "onefold";
const user = entity("user", { user_id: t.string() });
const visits = stream("visits", { columns: { user_id: t.string(), at: t.timestamp(), pages: t.int64() }, eventTime: "at" });
const twice = custom("twice", {
  output: t.int64(), empty: () => 0, add: (sum: number, pages: number) => sum + 2 * pages, read: (sum: number) => sum,
});
const use = view("use", { entity: user, source: visits, features: { pages: last("pages"), twice: twice("pages") } });
export const model = service("model", { features: [use] });
`;

async function serve(project: string): Promise<string> {
  const args = [cliPath, "serve", "--port", "0", "--workers", "1", "--labels-folder", ".", "--json"];
  const child = spawn(process.execPath, args, { cwd: project, stdio: ["ignore", "pipe", "inherit"] });
  server = child;
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return (JSON.parse(line.toString()) as { url: string }).url;
}

async function call(method: string, url: string, body?: object): Promise<TrainingJob> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return (await response.json()) as TrainingJob;
}

it("builds them behind workers, and calls one interrupted that a kill cut short", async () => {
  await runCli(["init", "shop"], folder);
  const project = join(folder, "shop");
  await writeFile(join(project, "features.ts"), DEFINITIONS);
  expect((await runCli(["apply"], project)).stderr).toBe("");
  await writeFile(
    join(project, "visits.csv"),
    "user_id,at,pages\nada,2026-01-01T10:00:00Z,3\nada,2026-01-01T11:00:00Z,4\n",
  );
  await runJson(["ingest", "visits.csv", "--source", "visits"], project);
  await writeFile(
    join(project, "labels.csv"),
    "user_id,t\nada,2026-01-01T10:30:00Z\nada,2026-01-01T12:00:00Z\nben,2026-01-01T12:00:00Z\n",
  );

  let url = await serve(project);
  const asked = { service: "model", boundary: "exclusive", labels: { path: "labels.csv" }, statuses: true };
  const started = await call("POST", `${url}/training-sets`, asked);
  expect(started).toMatchObject({ labels: { path: "labels.csv" }, options: { service: "model", statuses: true } });
  const events = await (await fetch(`${url}/training-sets/${started.id}/events`)).text();
  expect(events).toContain("event: done");
  const upload = await fetch(`${url}/training-sets?service=model&boundary=exclusive`, {
    method: "POST",
    headers: { "content-type": "text/csv" },
    body: await readFile(join(project, "labels.csv")),
  });
  expect(upload.status).toBe(202);
  const second = (await upload.json()) as TrainingJob;
  await writeFile(
    join(folder, "set.parquet"),
    new Uint8Array(await (await fetch(`${url}/training-sets/${started.id}/download`)).arrayBuffer()),
  );
  const { openDuckDb } = await import("../../src/offline-store/duckdb.ts");
  const engine = await openDuckDb({ threads: 1 });
  const rows = await engine.rows(`SELECT pages, twice, twice__status FROM '${join(folder, "set.parquet")}'`);
  await engine.close();
  expect(rows.map((row) => Object.values(row))).toEqual([
    [3, 6, "PRESENT"],
    [4, 14, "PRESENT"],
    [null, 0, "NOT_FOUND"],
  ]);

  // Killed while a job is under way or waits; the other one is done.
  const killed = await call("POST", `${url}/training-sets`, asked);
  expect(["queued", "running"]).toContain(killed.state);
  const ended = once(server!, "exit");
  server!.kill("SIGKILL");
  await ended;
  url = await restarted(project);
  expect(await call("GET", `${url}/training-sets/${killed.id}`)).toMatchObject({
    state: "interrupted",
    error: { code: "TRAINING_INTERRUPTED" },
  });
  expect((await call("GET", `${url}/training-sets/${started.id}`)).state).toBe("done");
  expect(["done", "interrupted"]).toContain((await call("GET", `${url}/training-sets/${second.id}`)).state);
  const stopped = once(server!, "exit");
  server!.kill("SIGTERM");
  await stopped;
}, 240_000);

/** The workers of the killed one, and its job, end by themselves. */
async function restarted(project: string): Promise<string> {
  await delay(100);
  return serve(project);
}
