/** The door of training sets: uploads that are too large or break off, and streams that end when the server does. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Answer, JobsWorld, LABELS } from "./jobs-world.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const BYTES_MAX = 1000;
const HEAD = "user_id,t\n";
/** A file of so many bytes, all of it labels that were known before anything. */
function labelsOf(bytes: number): string {
  const row = "ada,2026-03-01T11:30:30Z\n";
  const rows = row.repeat(Math.floor((bytes - HEAD.length) / row.length));
  return HEAD + rows + "\n".repeat(bytes - HEAD.length - rows.length);
}

let world: JobsWorld;
beforeEach(async () => {
  world = await JobsWorld.open({ labelBytesMax: BYTES_MAX, waitingMax: 0 });
});
afterEach(() => world.close());

/** Of jobs, and of uploads that may become some. */
function folders(): string[] {
  const folder = join(world.dataDir, "training-sets");
  return existsSync(folder) ? readdirSync(folder) : [];
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 120_000; !isSo(); await delay(10)) {
    if (performance.now() > deadline) throw new Error(`not so after two minutes: ${folders().join(", ")}`);
  }
}

describe("an upload of labels", () => {
  it("may have as many bytes as the limit says, and not one more, whether its length is said or not", async () => {
    const path = "/training-sets?service=fraud&boundary=inclusive";
    const long = await world.ask("POST", path, labelsOf(BYTES_MAX + 1), "text/csv");
    expect([long.status, long.body["error"].code]).toEqual([413, "BODY_TOO_LARGE"]);
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 20; i++) controller.enqueue(new TextEncoder().encode("x".repeat(100)));
        controller.close();
      },
    });
    const options = { method: "POST", body: stream, headers: { "content-type": "text/csv" }, duplex: "half" } as const;
    expect((await fetch(`${world.server.url}${path}`, options)).status).toBe(413);
    // Nothing is left of them, and no place is taken: there is but one.
    expect(folders()).toEqual([]);
    const whole = await world.ask("POST", path, labelsOf(BYTES_MAX), "text/csv");
    expect(whole.body).toMatchObject({ labels: { format: "csv", bytes: BYTES_MAX } });
    expect((await world.ended(whole.body["id"])).state).toBe("done");
  });

  it("that breaks off gives its place back", async () => {
    const socket = connect(Number(new URL(world.server.url).port), "127.0.0.1");
    const head =
      "POST /training-sets?service=fraud&boundary=inclusive HTTP/1.1\r\nHost: here\r\nContent-Type: text/csv";
    socket.write(`${head}\r\nContent-Length: 500\r\n\r\nuser`);
    await until(() => folders().length === 1);
    const meanwhile = await world.ask("POST", "/training-sets?service=fraud", LABELS, "text/csv");
    expect([meanwhile.status, meanwhile.body["error"].code]).toEqual([429, "BACKPRESSURE"]);
    socket.destroy();
    await until(() => folders().length === 0);
    expect((await world.ask("GET", "/training-sets")).body).toEqual({ training_sets: [] });
    await world.begin();
  });

  it("of a type that is no label file is refused by its name; a damaged file fails its job", async () => {
    const path = "/training-sets?service=fraud&boundary=inclusive";
    const unknown = await world.ask("POST", path, "PAR1", "application/octet-stream");
    expect([unknown.status, unknown.body["error"].code]).toEqual([400, "REQUEST_INVALID"]);
    expect(unknown.body["error"].message).toContain("application/octet-stream");
    expect((await world.ask("POST", path, "user_id,t")).body["error"].code).toBe("JSON_INVALID");
    expect(folders()).toEqual([]);
    const cut = await world.ask("POST", path, "PAR1 and no more", "application/vnd.apache.parquet");
    expect(await world.ended(cut.body["id"])).toMatchObject({ state: "failed", error: { code: "FILE_UNREADABLE" } });
    expect(await world.ended(await world.begin(undefined, HEAD))).toMatchObject({ state: "done", result: { rows: 0 } });
  });
});

describe("a training set under an id that its caller chose", () => {
  const path = "/training-sets?service=fraud&boundary=inclusive";
  const asked = { service: "fraud", boundary: "inclusive" };
  const codeOf = ({ status, body }: Answer): unknown[] => [status, body["error"]?.code];

  it("has that id, however its labels come, and no other set has", async () => {
    const ids: string[] = [];
    for (const start of [
      (id: string) => world.ask("POST", `${path}&id=${id}`, LABELS, "text/csv"),
      (id: string) => world.ask("POST", "/training-sets", { ...asked, id, every: "1h", labels: { entities: "all" } }),
      (id: string) => world.ask("POST", "/training-sets", { ...asked, id, labels: { rows: [] } }),
      (id: string) => world.ask("POST", "/training-sets", { ...asked, id, labels: { path: "labels.csv" } }),
    ]) {
      writeFileSync(join(world.labelsFolder, "labels.csv"), LABELS);
      const id = randomUUID();
      ids.push(id);
      let { status, body } = await start(id);
      // The one place there is, is free a little after its job is seen to be over.
      for (; status === 429; await delay(20)) ({ status, body } = await start(id));
      expect([status, body["id"], body["options"].id]).toEqual([202, id, undefined]);
      for (const known of ids) expect(codeOf(await start(known))).toEqual([409, "TRAINING_SET_EXISTS"]);
      expect((await world.ended(id)).id).toBe(id);
    }
    for (const id of ["", "set", "..", ids[0]!.toUpperCase(), `${ids[0]}0`, ids[0]!.replace("-", "/")]) {
      const answer = await world.ask("POST", `${path}&id=${encodeURIComponent(id)}`, LABELS, "text/csv");
      expect(codeOf(answer), id).toEqual([400, "REQUEST_INVALID"]);
    }
    expect(folders().toSorted()).toEqual(ids.toSorted());
  });

  it("is not started any more where it was cancelled before, or while its labels came", async () => {
    const early = randomUUID();
    expect(codeOf(await world.ask("DELETE", `/training-sets/${early}`))).toEqual([404, "TRAINING_SET_UNKNOWN"]);
    expect(codeOf(await world.ask("POST", `${path}&id=${early}`, LABELS, "text/csv"))).toEqual([499, "CANCELLED"]);
    const rows = { ...asked, id: early, labels: { rows: [] } };
    expect(codeOf(await world.ask("POST", "/training-sets", rows))).toEqual([499, "CANCELLED"]);

    const during = randomUUID();
    const socket = connect(Number(new URL(world.server.url).port), "127.0.0.1");
    const head = `POST ${path}&id=${during} HTTP/1.1\r\nHost: here\r\nContent-Type: text/csv`;
    socket.write(`${head}\r\nContent-Length: ${LABELS.length}\r\n\r\n${LABELS.slice(0, 4)}`);
    await until(() => folders().includes(during));
    const again = await world.ask("POST", `${path}&id=${during}`, LABELS, "text/csv");
    expect(codeOf(again)).toEqual([409, "TRAINING_SET_EXISTS"]);
    expect(codeOf(await world.ask("DELETE", `/training-sets/${during}`))).toEqual([404, "TRAINING_SET_UNKNOWN"]);
    socket.write(LABELS.slice(4));
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 499 [^]*"CANCELLED"/);
    socket.destroy();

    expect(folders()).toEqual([]);
    expect((await world.ask("GET", "/training-sets")).body).toEqual({ training_sets: [] });
    // The one place there is, is free.
    const last = randomUUID();
    expect((await world.ask("POST", `${path}&id=${last}`, LABELS, "text/csv")).status).toBe(202);
    expect((await world.ask("DELETE", `/training-sets/${last}`)).body).toMatchObject({ state: "cancelled" });
  });
});

describe("the events of a training set", () => {
  it("end when the server closes, though the job does not", async () => {
    const id = await world.begin();
    const reader = (await fetch(`${world.server.url}/training-sets/${id}/events`)).body!.getReader();
    await reader.read();
    await world.server.close();
    const read = async (): Promise<string> => {
      const { done, value } = await reader.read();
      return done ? "" : new TextDecoder().decode(value) + (await read());
    };
    expect(await read()).not.toContain("event: done");
    // The job is of the platform, not of its server.
    const again = await world.platform.serve({ port: 0 });
    world.server = again;
    expect((await world.ended(id)).state).toBe("done");
  });

  it("do not hold the server up when whoever listens has gone", async () => {
    const id = await world.begin();
    const leaving = new AbortController();
    const response = await fetch(`${world.server.url}/training-sets/${id}/events`, { signal: leaving.signal });
    await response.body!.getReader().read();
    leaving.abort();
    await world.server.close();
    world.server = await world.platform.serve({ port: 0 });
    expect((await world.job(id)).id).toBe(id);
  });
});
