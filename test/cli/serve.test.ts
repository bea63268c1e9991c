/** `onefold serve` with both doors, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cliPath, runCli, runJson } from "./run-cli.ts";

let folder: string;
let server: ChildProcess | null = null;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-serve-"));
});
afterEach(() => {
  server?.kill("SIGKILL");
  return rm(folder, { recursive: true, force: true });
});

describe("onefold serve", () => {
  it("answers Redis clients beside HTTP, asks for the password, and stops in good order", async () => {
    await runCli(["init", "shop"], folder);
    const project = join(folder, "shop");
    await runCli(["apply"], project);
    expect((await runJson(["ingest", "events.ndjson", "--source", "payments"], project)).exitCode).toBe(0);
    const more = 'export const more = service("more", { features: [spending.pick("payments_1h")] });\n';
    await appendFile(join(project, "features.ts"), more);
    const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--resp-port", "0", "--json"], {
      cwd: project,
      env: { ...process.env, ONEFOLD_PASSWORD: "sesame" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    server = child;
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const said = JSON.parse(line.toString()) as { url: string; resp_url: string; unapplied: string };
    expect(said.unapplied).toMatch(/differs from what is registered: service more; onefold plan shows how/);
    expect(said.resp_url).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/);

    const stranger = createClient({ url: said.resp_url, socket: { reconnectStrategy: false } });
    stranger.on("error", () => {});
    await expect(stranger.connect()).rejects.toThrow(/NOAUTH/);
    const redis = createClient({ url: said.resp_url, password: "sesame" });
    await redis.connect();
    const body = JSON.stringify({ entities: { user_id: "ada" } });
    const response = await fetch(`${said.url}/services/fraud/vector`, { method: "POST", body });
    const { features } = (await response.json()) as { features: unknown };
    expect(JSON.parse(await redis.sendCommand(["FGETJSON", "fraud", "ada"]))).toEqual(features);
    await redis.close();

    // Of threads on the core of the one that answers, it comes first.
    const threads = (await readdir(`/proc/${child.pid}/task`)).map(Number);
    expect(threads.length).toBeGreaterThan(4);
    const own = getPriority(child.pid);
    const isBehind = (thread: number): boolean => getPriority(thread) === Math.min(19, own + 10);
    await expect
      .poll(() => threads.filter((thread) => thread !== child.pid && !isBehind(thread)), { timeout: 60_000 })
      .toEqual([]);

    const ended = once(child, "close");
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });

  it("answers from workers on both doors, with the code of the definitions file, and stops them in good order", async () => {
    await runCli(["init", "shop"], folder);
    const project = join(folder, "shop");
    await runCli(["apply"], project);
    await runJson(["ingest", "events.ndjson", "--source", "payments"], project);
    const args = [cliPath, "serve", "--port", "0", "--resp-port", "0", "--workers", "2", "--json"];
    const child = spawn(process.execPath, args, {
      cwd: project,
      env: { ...process.env, ONEFOLD_PASSWORD: "sesame" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    server = child;
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const said = JSON.parse(line.toString()) as { url: string; resp_url: string };
    expect((await fetch(`${said.url}/ready`)).status).toBe(200);
    const redis = createClient({ url: said.resp_url, password: "sesame" });
    await redis.connect();
    const body = JSON.stringify({ entities: { user_id: "ada" } });
    const response = await fetch(`${said.url}/services/fraud/vector`, { method: "POST", body });
    const { features, metadata } = (await response.json()) as { features: unknown; metadata: object };
    expect(metadata).toHaveProperty("snapshot_age_ms");
    expect(JSON.parse(await redis.sendCommand(["FGETJSON", "fraud", "ada"]))).toEqual(features);
    await redis.close();

    const taken = await runJson(
      ["serve", "--port", new URL(said.url).port, "--workers", "1", "--data", "other"],
      project,
    );
    expect(taken).toMatchObject({ exitCode: 1, result: { error: { code: "LISTEN_FAILED" } } });

    const ended = once(child, "close");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    // The workers have gone with it: nobody listens any more.
    await expect(fetch(`${said.url}/ready`)).rejects.toThrow();
  }, 240_000);

  it("says what keeps a worker from starting, and ends", async () => {
    await runCli(["init", "shop"], folder);
    const project = join(folder, "shop");
    await runCli(["apply"], project);
    const { exitCode, stderr } = await runCli(["serve-worker"], project);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("WORKERS_FAILED: this process was not started as a worker");
  });

  it.each([[], ["--workers", "2"]])(
    "is not ready with other definitions than were applied, and says which service is refused: %j",
    async (...workers) => {
      await runCli(["init", "shop"], folder);
      const project = join(folder, "shop");
      await runCli(["apply"], project);
      const file = join(project, "features.ts");
      const text = await readFile(file, "utf8");
      expect(text).toContain("count().over");
      await writeFile(file, text.replace(/count\(\)\.over\("\w+"\)/, 'count().over("3h")'));
      const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", ...workers], { cwd: project });
      server = child;
      let stderr = "";
      child.stderr.on("data", (heard: Buffer) => (stderr += heard.toString()));
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const [, url] = /serving on (\S+): \d+ views?, (?:\d+ on-demand views?, )?\d+ services? \(Ctrl-C stops\)/.exec(
        line.toString(),
      )!;
      expect(stderr).toMatch(
        /not ready \(GET \/ready answers 503\): .*service fraud is refused with FINGERPRINT_MISMATCH/,
      );
      for (let i = 0; i < 4; i++) {
        const ready = await fetch(`${url}/ready`, { headers: { connection: "close" } });
        expect(ready.status).toBe(503);
        expect(((await ready.json()) as any).error).toMatchObject({
          code: "NOT_READY",
          message: expect.stringMatching(/service fraud is refused with FINGERPRINT_MISMATCH: the loaded spending@1/),
        });
      }
    },
    240_000,
  );

  it("says that it found no definitions and that nothing is registered, and serves all the same", async () => {
    const child = spawn(process.execPath, [cliPath, "serve", "--port", "0", "--data", "nodata"], { cwd: folder });
    server = child;
    let stderr = "";
    child.stderr.on("data", (heard: Buffer) => (stderr += heard.toString()));
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    expect(line.toString()).toMatch(/^serving on http\S+: 0 views, 0 services \(Ctrl-C stops\)\n$/);
    expect(stderr).toMatch(/no definitions file was found and nothing is registered in nodata/);
  });

  it("refuses a password that was not filled in, and closes what it had opened", async () => {
    await runCli(["init", "shop"], folder);
    const args = [cliPath, "serve", "--port", "0", "--resp-port", "0"];
    const child = spawn(process.execPath, args, {
      cwd: join(folder, "shop"),
      env: { ...process.env, ONEFOLD_PASSWORD: "" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    server = child;
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    expect(await once(child, "close")).toEqual([1, null]);
    expect(stderr).toContain("REQUEST_INVALID: an empty password");
    expect(stderr).toContain("ONEFOLD_PASSWORD");
  });
});
