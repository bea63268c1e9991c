/**
 * `onefold serve` judges alerts: a source that fails is told to a receiver that was away, through a kill -9 of the server;
 * a retraining has a training set built and calls its webhook; commands ask the server.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openReceiver, type Receiver, until } from "../monitor/alerts/receiver.ts";
import { cliPath } from "./run-cli.ts";
import { mostlyHere } from "./run-here.ts";

const { runCli, runJson } = mostlyHere();

let folder: string;
let api: Server;
let isApiWell = true;
let receiver: Receiver;
let trainer: Receiver;
let server: ChildProcess | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-serve-alerts-"));
  isApiWell = true;
  api = createServer((_request, response) => {
    if (!isApiWell) return void response.writeHead(500).end();
    const row = { id: "1", user_id: "ada", at: new Date(Date.now() - 3 * 3600_000).toISOString(), pages: 3 };
    response.end(JSON.stringify([row]));
  });
  api.listen(0, "127.0.0.1");
  await once(api, "listening");
  receiver = await openReceiver();
  trainer = await openReceiver();
});
afterEach(async () => {
  server?.kill("SIGKILL");
  await Promise.all([receiver.close(), trainer.close()]);
  api.close();
  api.closeAllConnections();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const definitions = (): string => `
import { alert, entity, http, retrain, service, stream, sum, t, view, webhook } from "onefold";
const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { id: t.string(), user_id: t.string(), at: t.timestamp(), pages: t.int64() }, eventTime: "at", id: "id",
  poll: http({ url: "http://127.0.0.1:${(api.address() as AddressInfo).port}/", every: "1s" }),
});
const use = view("use", { entity: user, source: visits, version: 1, features: { pages: sum("pages"), pages_1h: sum("pages").over("1h") } });
const model = service("model", { features: [use] });
const hook = webhook("hook", { url: "${receiver.url}", secret: { env: "HOOK_SECRET" } });
const trains = webhook("trains", { url: "${trainer.url}/train" });
export const silent = alert("silent", { on: "source-silence", source: visits, severity: "critical", to: hook });
export const again = retrain("again", {
  on: "source-silence", service: model, labels: { every: "1s", range: "1d" }, to: trains,
});
`;

async function serve(project: string): Promise<string> {
  const args = [cliPath, "serve", "--port", "0", "--workers", "1", "--alerts-every", "500ms", "--json"];
  const child = spawn(process.execPath, args, {
    cwd: project,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, HOOK_SECRET: "s3cret" },
  });
  server = child;
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return (JSON.parse(line.toString()) as { url: string }).url;
}

async function call(method: string, url: string, body?: object): Promise<any> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers }) });
  return response.json();
}

it("tells of a silent source through a kill of the server, and has a model trained", { timeout: 400_000 }, async () => {
  await runCli(["init", "shop"], folder);
  const project = join(folder, "shop");
  await writeFile(join(project, "features.ts"), definitions());
  expect((await runCli(["apply"], project)).stderr).toBe("");
  let url = await serve(project);
  const pushed = async (): Promise<boolean> =>
    ((await call("POST", `${url}/features`, { entity_type: "user", entity_id: "ada" })) as any).features?.pages === 3;
  await until(pushed, "the first poll");

  // Nobody takes the notice, and then the server is killed.
  await receiver.close();
  isApiWell = false;
  const waiting = async (): Promise<any> => (await call("GET", `${url}/alerts`)).undelivered[0];
  await until(async () => ((await waiting())?.attempts ?? 0) > 0, "a failed attempt");
  const { notice_id: id, error } = await waiting();
  expect(error).toContain("ECONNREFUSED");
  server!.kill("SIGKILL");
  await once(server!, "exit");
  receiver = await openReceiver(receiver.port);
  url = await serve(project);
  await receiver.has(1);
  expect(receiver.received[0]!.headers["webhook-id"]).toBe(id);
  expect(receiver.received[0]!.headers["webhook-signature"]).toMatch(/^v1,/);
  expect(receiver.received[0]!.json).toMatchObject({ event: "firing", rule: "silent", severity: "critical", id });

  await trainer.has(1);
  const [{ path, json }] = trainer.received as [Receiver["received"][0]];
  expect(path).toBe("/train");
  const { fresh, found } = json as any;
  expect(found).toMatchObject([{ kind: "source-silence", subject: { source: "visits" } }]);
  expect(fresh.rows).toBeGreaterThan(0);
  expect((await stat(fresh.path)).size).toBeGreaterThan(0);
  const download = await fetch(`${url}${fresh.download}`);
  expect(Buffer.from(await download.arrayBuffer()).equals(await readFile(fresh.path))).toBe(true);

  const listed = await runJson(["alerts", "list"], project);
  expect(listed.result["alerts"]).toMatchObject([{ phase: "firing" }, { phase: "firing" }]);
  expect((await runCli(["alerts", "list"], project)).stdout).toMatch(/firing +silent +critical +visits/);
  const { result: shown } = await runJson(["alerts", "show", "silent"], project);
  expect(shown["alerts"]).toHaveLength(1);
  const { result: made } = await runJson(
    ["alerts", "silence", "--rule", "silent", "--until", "2h", "--by", "me", "--comment", "known"],
    project,
  );
  expect(await call("GET", `${url}/alerts`)).toMatchObject({ silences: [made["silence"]] });
  expect(made["silence"]).toMatchObject({ rule: "silent", by: "me", comment: "known" });
  expect((await runCli(["alerts", "unsilence", made["silence"].id], project)).exitCode).toBe(0);
  expect((await runJson(["alerts", "test", "hook"], project)).result).toMatchObject({ delivered: true });
  expect(receiver.received.at(-1)!.json).toMatchObject({ event: "test" });
  const { result: history } = await runJson(["alerts", "history", "--rule", "silent"], project);
  const events = (history["events"] as { event: string }[]).map(({ event }) => event);
  expect(events).toEqual(expect.arrayContaining(["firing", "delivered", "silenced", "unsilenced"]));
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('onefold_alerts_firing{rule="silent",severity="critical"} 1');

  const reported = { model: "trees", method: "gain", importances: { pages: 1, pages_1h: 3 } };
  expect(await call("POST", `${url}/services/model/importances`, reported)).toMatchObject({
    service: "model",
    ...reported,
  });
  const { result } = await runJson(["features", "--by", "importance"], project);
  expect(result["features"]).toMatchObject([
    { feature: "pages_1h", importance: 0.75 },
    { feature: "pages", importance: 0.25 },
  ]);
  server!.kill("SIGTERM");
  await once(server!, "exit");
  server = null;
  const stored = await runJson(["alerts", "list"], project);
  expect(stored.result["alerts"]).toHaveLength(2);
  expect((await runJson(["alerts", "silence", "--until", "1h"], project)).result["error"].code).toBe(
    "ALERTS_NOT_OFFERED",
  );
});
