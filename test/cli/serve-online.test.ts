/** `onefold serve --publish` and `onefold serve --online`, as processes of their own, over a real Redis with a password. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeWhere } from "../services/describe-where.ts";
import { type RedisServer, startRedis } from "../services/redis.ts";
import { cliPath, runCli, runJson } from "./run-cli.ts";

const PASSWORD = "open-sesame";
const describeWithOurs = await describeWhere("redis", { ours: true });

let folder: string;
let redis: RedisServer;
const servers: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-serve-online-cli-"));
  redis = await startRedis({ users: [{ name: "onefold", password: PASSWORD, rules: "~* +@all" }] });
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.kill("SIGKILL");
  await redis?.close();
  await rm(folder, { recursive: true, force: true });
});

async function serve(project: string, ...args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--json", ...args], {
    cwd: project,
    env: { ...process.env, ONEFOLD_REDIS_PASSWORD: PASSWORD },
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, url: (JSON.parse(line.toString()) as { url: string }).url };
}

async function post(url: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describeWithOurs("onefold serve over Redis", () => {
  it("publishes from one process and serves from another, and says what is wrong without the password", async () => {
    await runCli(["init", "shop"], folder);
    const project = join(folder, "shop");
    await runCli(["apply"], project);
    await runJson(["ingest", "events.ndjson", "--source", "payments"], project);
    const address = `redis://onefold@127.0.0.1:${redis.port}`;
    const owner = await serve(project, "--publish", address);
    const other = await serve(project, "--online", address);

    await expect.poll(async () => (await fetch(`${other.url}/ready`)).status, { timeout: 60_000 }).toBe(200);
    const asked = { entities: { user_id: "ada" } };
    const own = await post(`${owner.url}/services/fraud/vector`, asked);
    const served = await post(`${other.url}/services/fraud/vector`, asked);
    expect(served.status).toBe(200);
    expect(served.body["features"]).toEqual(own.body["features"]);
    expect(served.body["metadata"]).toHaveProperty("snapshot_age_ms");
    expect(await post(`${other.url}/events/payments`, [])).toMatchObject({
      status: 409,
      body: { error: { code: "STORAGE_LOCKED" } },
    });

    await redis.kill();
    // What it keeps it gives until it hears that the connection is gone.
    await expect
      .poll(() => post(`${other.url}/services/fraud/vector`, asked), { timeout: 5000, interval: 10 })
      .toMatchObject({ status: 503, body: { error: { code: "STORE_UNAVAILABLE" } } });
    expect((await post(`${owner.url}/services/fraud/vector`, asked)).status).toBe(200);
    await redis.restart();
    await expect
      .poll(async () => (await post(`${other.url}/services/fraud/vector`, asked)).body["features"], { timeout: 60_000 })
      .toEqual(own.body["features"]);

    for (const { child } of [other, owner]) {
      const ended = once(child, "close");
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
    }

    const wrong = `redis://onefold:not-${PASSWORD}@127.0.0.1:${redis.port}`;
    const { exitCode, stderr, stdout } = await runCli(["serve", "--port", "0", "--online", wrong], project);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("STORE_UNAVAILABLE");
    expect(stderr).toContain("WRONGPASS");
    expect(stderr + stdout).not.toContain(PASSWORD);
    const both = await runCli(["serve", "--online", address, "--publish", address], project);
    expect(both.stderr).toContain("cannot be used with option");
  }, 240_000);
});
