/**
 * Serving from worker processes, with real ones: whatever is killed, imported or applied meanwhile, an answer is
 * right for the moment that it says it is of, and the audit computes it again.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HeldImport } from "./held-import.ts";
import { VisitsLoad, visit } from "./visits-load.ts";
import { isAlive } from "../processes.ts";
import { promised } from "../promised.ts";
import { type Answer, type HttpConnection, VisitsServer } from "./workers-in-test.ts";

/** Connections enough that each worker has some. */
const CONNECTIONS = 12;

let folder: string;
let server: VisitsServer;
let connections: HttpConnection[] = [];

// One server for all: it takes seconds to start. Each test has users of its own.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-workers-"));
  await start();
}, 240_000);

afterAll(async () => {
  for (const connection of connections) connection.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
}, 240_000);

async function start(): Promise<void> {
  server = await VisitsServer.start(join(folder, "data"));
  reconnect();
  await server.ready();
}

/** Of every connection, so of every worker. */
async function vectorsOf(userId: string, more: object = {}): Promise<Answer[]> {
  return Promise.all(
    connections.map(async (connection) => {
      const answer = await connection.vector(userId, more);
      if (answer === null) throw new Error("the connection broke");
      return answer;
    }),
  );
}

/** Flushed within 50 ms and what a write takes: on a loaded machine that may be more, and then the age says so. */
async function seenByAll(userId: string, features: object): Promise<void> {
  await expect
    .poll(async () => (await vectorsOf(userId)).map(({ body }) => body["features"]), { timeout: 60_000 })
    .toEqual(connections.map(() => expect.objectContaining(features)));
}

/** Another worker in the place of one that was killed, and all ready. */
async function comeBack(killed: number): Promise<void> {
  await expect.poll(() => server.workers().filter((pid) => pid !== killed), { timeout: 60_000 }).toHaveLength(2);
  await server.ready();
}

function reconnect(): void {
  for (const connection of connections) connection.close();
  connections = Array.from({ length: CONNECTIONS }, () => server.connect());
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe("ESRCH");
  }
}

describe("workers", { timeout: 240_000 }, () => {
  it("answer what the owner answers, say how old it is, and the audit computes it again", async () => {
    const users = ["ada", "bob", "cleo", "dan"];
    await connections[0]!.push(users.flatMap((user) => [visit(user, 3), visit(user, 4.5)]));
    await seenByAll("dan", { visits: 2 });
    for (const user of users) {
      const own = await server.control("vector", { user_id: user });
      expect(own.metadata.snapshot_age_ms).toBeUndefined();
      for (const { status, body } of await vectorsOf(user)) {
        expect(status).toBe(200);
        expect(body["features"]).toEqual(own.features);
        expect(body["metadata"].snapshot_age_ms).toBeGreaterThanOrEqual(0);
      }
    }
    // Time goes by and nothing happens: what is known does not grow old by that.
    await delay(1500);
    const oldest = async (): Promise<number> =>
      Math.max(...(await vectorsOf("ada")).map(({ body }) => body["metadata"].snapshot_age_ms as number));
    // If it did it would only become more.
    await expect.poll(oldest, { timeout: 30_000 }).toBeLessThan(1400);
    const audit = await server.control("audit");
    expect(audit).toMatchObject({ mismatched: 0, clean: true });
    // All vectors of both workers and of the owner, five values each.
    expect(audit.compared).toBeGreaterThanOrEqual(users.length * (CONNECTIONS + 1) * 5);
  });

  it("take pushes in any way, and all see them", async () => {
    const redis = createClient({ url: server.respUrl });
    await redis.connect();
    const pushed = await redis.sendCommand(["FPUSH", "visits", JSON.stringify(visit("eve", 7))]);
    expect(new Map(Object.entries(pushed as object)).get("accepted")).toBe(1);
    const bad = await connections[1]!.push([{ ...visit("eve"), amount: "much" }]);
    expect(bad).toMatchObject({ status: 422, body: { rejected: 1, outcomes: [{ code: "TYPE_MISMATCH" }] } });
    expect(await connections[2]!.ask("POST", "/events/nothing", [{}])).toMatchObject({
      status: 404,
      body: { error: { code: "SOURCE_UNKNOWN" } },
    });
    const feast = { push_source_name: "visits", df: columnsOf([visit("eve", 5)]), to: "online" };
    expect((await connections[3]!.ask("POST", "/push", feast))?.status).toBe(200);
    await seenByAll("eve", { visits: 2, spent: 12, latest: 5 });
    const packed = await redis.sendCommand(["FGETJSON", "visitor", "eve", "WITHMETA"]);
    expect(JSON.parse(String(packed))).toMatchObject({
      features: { visits: 2, spent: 12, latest: 5 },
      metadata: { snapshot_age_ms: expect.any(Number) },
    });
    redis.destroy();
  });

  it("say at every door how old what they read is, and it grows while the owner does not write", async () => {
    await connections[0]!.push([visit("max", 2)]);
    await seenByAll("max", { visits: 1 });
    const [redis2, redis3] = [createClient({ url: server.respUrl, RESP: 2 }), createClient({ url: server.respUrl })];
    await Promise.all([redis2.connect(), redis3.connect()]);
    const asked = async (...args: string[]): Promise<[number, unknown]> => {
      const [two, three] = (await Promise.all([redis2.sendCommand(args), redis3.sendCommand(args)])) as unknown as [
        [string, unknown],
        [number, unknown],
      ];
      expect([typeof two[0], typeof three[0]]).toEqual(["string", "number"]);
      return [Math.min(Number(two[0]), three[0]), three[1]];
    };
    const feast = { entities: { user_id: ["max"] }, feature_service: "visitor" };
    const agesMs = async (): Promise<number[]> => {
      const [fget, values] = await asked("FGET", "visitor", "max", "WITHAGE");
      expect((values as unknown[])[0]).toBe(1);
      const [packed] = await asked("FGETPACKED", "visitor", "max", "WITHAGE");
      const overFeast = await Promise.all(
        connections.map((connection) => connection.ask("POST", "/get-online-features", feast)),
      );
      const headers = overFeast.map((answer) => Number(answer!.headers["x-onefold-snapshot-age-ms"]));
      const [[many]] = (await redis3.sendCommand(["FMGET", "visitor", "1", "max", "WITHAGE"])) as unknown as [[number]];
      return [fget, packed, many!, ...headers];
    };
    try {
      for (const ageMs of await agesMs()) expect(ageMs).toBeGreaterThanOrEqual(0);
      server.child.kill("SIGSTOP");
      await delay(1000);
      const pausedMs = await agesMs();
      for (const ageMs of pausedMs) expect(ageMs).toBeGreaterThan(950);
      await delay(300);
      const later = await agesMs();
      for (const [i, ageMs] of later.entries()) expect(ageMs).toBeGreaterThan(pausedMs[i]! + 250);
      server.child.kill("SIGCONT");
      await expect.poll(async () => Math.max(...(await agesMs()))).toBeLessThan(950);
    } finally {
      server.child.kill("SIGCONT");
      for (const redis of [redis2, redis3]) redis.destroy();
    }
  });

  it("take a push with a row that is nested deeper than can be sent, and refuse that row alone", async () => {
    const before = server.workers();
    const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
    const rows = `[${JSON.stringify(visit("hal"))}, {"user_id": "hal", "nested": ${deep}}]`;
    const pushed = await fetch(`${server.url}/events/visits`, { method: "POST", body: rows });
    expect(pushed.status).toBe(200);
    expect(await pushed.json()).toMatchObject({ accepted: 1, rejected: 1 });
    await seenByAll("hal", { visits: 1 });
    expect(server.workers()).toEqual(before);
  });

  it("are started again when killed under load, with no wrong answer and nothing acknowledged lost", async () => {
    const load = new VisitsLoad("fay", connections.slice(1), connections[0]!);
    for (let kill = 0; kill < 3; kill++) {
      await delay(600);
      const [victim] = server.workers();
      process.kill(victim!, "SIGKILL");
      await comeBack(victim!);
    }
    const pushed = await load.end();
    expect(load.faults).toEqual([]);
    expect(load.answered).toBeGreaterThan(100);
    expect(load.broken).toBeGreaterThan(0);
    await seenByAll("fay", { visits: pushed });
    expect(await server.control("audit")).toMatchObject({ mismatched: 0, clean: true });
    const metrics = (await connections[0]!.ask("GET", "/metrics"))!.body["text"] as string;
    expect(metrics).toContain("onefold_worker_restarts_total 3");
    expect(metrics).toContain("onefold_workers_warm 2");
    expect(metrics).toContain(`onefold_events_total{source="visits",outcome="accepted"} ${12 + pushed}`);
  });

  it("count together, and what was counted stays when one has gone", async () => {
    const vectors = async (): Promise<number> => {
      const page = (await connections[0]!.ask("GET", "/metrics"))!.body["text"] as string;
      return Number(/onefold_vectors_total\{service="visitor"\} (\d+)/.exec(page)?.[1]);
    };
    const before = await vectors();
    for (let i = 0; i < 5; i++) await vectorsOf("ada");
    expect(await vectors()).toBe(before + 5 * CONNECTIONS);
    const [leaving] = server.workers();
    process.kill(leaving!, "SIGTERM");
    await comeBack(leaving!);
    reconnect();
    await vectorsOf("ada");
    expect(await vectors()).toBe(before + 6 * CONNECTIONS);
  });

  it("end when the owner is killed, and a new one serves the same", async () => {
    await connections[0]!.push([visit("gus", 4)]);
    await seenByAll("gus", { visits: 1 });
    const before = (await connections[0]!.vector("gus"))!.body["features"];
    const workers = server.workers();
    expect(workers).toHaveLength(2);
    const ended = once(server.child, "exit");
    server.child.kill("SIGKILL");
    await ended;
    await expect.poll(() => workers.filter(isAlive), { timeout: 60_000 }).toEqual([]);
    await start();
    expect((await connections[0]!.vector("gus"))!.body["features"]).toEqual(before);
    expect(await server.control("audit")).toMatchObject({ mismatched: 0, clean: true });
  });

  it("serve on while an import opens an epoch, and never the one's values as the other's", async () => {
    await connections[0]!.push([visit("ian", 10), visit("ian", 10)]);
    await seenByAll("ian", { visits: 2 });
    const file = join(folder, "history.ndjson");
    const history = Array.from({ length: 500 }, (_, i) => ({
      ...visit(i % 2 === 0 ? "ian" : "ivy", 10),
      at: new Date(1_700_000_000_000 + i * 1000).toISOString(),
    }));
    await writeFile(file, history.map((row) => JSON.stringify(row)).join("\n"));
    const seen = new Set<string>();
    const done = new AbortController();
    const readers = connections.map(async (connection) => {
      while (!done.signal.aborted) {
        const { status, body } = (await connection.vector("ian"))!;
        expect(status, JSON.stringify(body)).toBe(200);
        const [, , ...reads] = JSON.parse(Buffer.from(body["metadata"].token, "base64url").toString()) as [
          number,
          number,
          ...[string, number, number][],
        ];
        const epochs = reads.map(([view, epoch]) => `${view}#${epoch}`).join(" ");
        seen.add(`${epochs}: ${body["features"].visits} ${body["features"].spent} ${body["features"].visits_10m}`);
      }
    });
    const report = await server.control("import", { file });
    expect(report).toMatchObject({ accepted: 500, epochOpened: true, epoch: 1 });
    await seenByAll("ivy", { visits: 250 });
    done.abort();
    await Promise.all(readers);
    for (const one of seen) {
      // Each view is switched by itself; each has all of an epoch, and says which.
      const [epochs, values] = one.split(": ");
      expect(epochs).toMatch(/^totals@1#[01] recent@1#[01]$/);
      expect(values).toBe(epochs!.startsWith("totals@1#0") ? "2 20 2" : "252 2520 2");
    }
    expect(seen.size).toBeGreaterThanOrEqual(2);
    expect(await server.control("audit")).toMatchObject({ mismatched: 0, clean: true });
  });

  it("serve what is applied without a restart, code of its own too", async () => {
    await connections[0]!.push([visit("jo", 3), visit("jo", 1)]);
    const spender = { entities: { user_id: "jo" } };
    const asked = (): Promise<(Answer | null)[]> =>
      Promise.all(connections.map((connection) => connection.ask("POST", "/services/spender/vector", spender)));
    for (const answer of await asked()) expect(answer?.status).toBe(404);
    const before = server.workers();
    await server.control("apply", { set: "added" });
    for (const answer of await asked()) expect(answer?.status).toBe(200);
    await expect
      .poll(async () => (await asked()).map((answer) => answer?.body["features"].latest_share))
      .toEqual(connections.map(() => 0.25));
    expect(server.workers()).toEqual(before);
  });

  it("never serve a draft's values under another of its definitions", async () => {
    await connections[0]!.push(Array.from({ length: 5 }, () => visit("kim", 10)));
    const asked = { entity_type: "user", entity_id: "kim", feature_names: ["draft@dev:n"] };
    const done = new AbortController();
    const seen = new Set<string>();
    const readers = connections.map(async (connection) => {
      while (!done.signal.aborted) {
        const { status, body } = (await connection.ask("POST", "/features", asked))!;
        seen.add(status === 200 ? `${body["features"]["draft@dev:n"]}` : body["error"].code);
      }
    });
    const all = async (): Promise<unknown[]> => {
      const answers = await Promise.all(connections.map((connection) => connection.ask("POST", "/features", asked)));
      return answers.map((answer) => answer!.body["features"]?.["draft@dev:n"]);
    };
    for (let round = 0; round < 3; round++) {
      await server.control("apply", { set: "counting" });
      await expect.poll(all, { timeout: 60_000 }).toEqual(connections.map(() => 5));
      await server.control("apply", { set: "summing" });
      await expect.poll(all, { timeout: 60_000 }).toEqual(connections.map(() => 50));
    }
    await server.control("drop", { draft: "draft" });
    for (const connection of connections) {
      const answer = await connection.ask("POST", "/features", asked);
      expect(answer?.body["error"].code).toMatch(/^(VIEW|FEATURE)_UNKNOWN$/);
    }
    done.abort();
    await Promise.all(readers);
    const right = ["5", "50", "NOT_READY", "VIEW_UNKNOWN", "FEATURE_UNKNOWN"];
    expect([...seen].filter((one) => !right.includes(one))).toEqual([]);
    expect(seen).toContain("5");
  });

  it("answer by a version that was moved to while the owner builds nothing, as a source is busy", async () => {
    await server.control("apply", { set: "versions" });
    await server.control("promote", { target: "caller@1" });
    const asked = async (): Promise<string[]> => {
      const lea = { entities: { user_id: "lea" } };
      const answers = await Promise.all(connections.map((one) => one.ask("POST", "/services/caller/vector", lea)));
      return answers.map((answer) => Object.keys(answer!.body["features"] ?? answer!.body).join());
    };
    expect(await asked()).toEqual(connections.map(() => "calls"));
    const held = new HeldImport(join(folder, "calls.ndjson"));
    let isImporting = true;
    const importing = server
      .control("import", { source: "calls", file: held.path })
      .finally(() => (isImporting = false));
    try {
      await server.control("promote", { target: "caller@2" });
      expect(await asked()).toEqual(connections.map(() => "all_calls"));
      await server.control("rollback", { name: "caller" });
      expect(await asked()).toEqual(connections.map(() => "calls"));
      expect(isImporting).toBe(true);
    } finally {
      held.letGo([{ user_id: "lea", at: "2026-01-01T00:00:00Z" }]);
    }
    expect(await importing).toMatchObject({ accepted: 1 });
  });

  it("that end again and again end the server, with the reason", async () => {
    const ended = once(server.child, "exit");
    const killing = (async () => {
      while (server.child.exitCode === null) {
        for (const pid of server.workers()) killIfThere(pid);
        await delay(20);
      }
    })();
    // Meanwhile the port answers or is closed, so that whoever shares out requests goes elsewhere: nobody is kept waiting.
    const met: string[] = [];
    while (server.child.exitCode === null) {
      met.push(await meet(Number(new URL(server.url).port)));
      await delay(5);
    }
    expect(await ended).toEqual([1, null]);
    await killing;
    expect(met.filter((one) => one === "waits")).toEqual([]);
    expect(met).toContain("ECONNREFUSED");
    expect(server.errors).toMatch(/WORKERS_FAILED: worker \d ended 6 times in a row, .*SIGKILL/);
  });
});

/** How a connection fares that asks whether anybody is there. */
async function meet(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    return await new Promise((resolve) => {
      socket.setTimeout(promised(10_000), () => resolve("waits"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code!));
      socket.on("data", () => resolve("answers")).on("close", () => resolve("breaks"));
      socket.write("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    });
  } finally {
    socket.destroy();
  }
}

/** Rows as Feast's SDK sends them. */
function columnsOf(rows: readonly Readonly<Record<string, unknown>>[]): Record<string, unknown[]> {
  return Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name])]));
}
