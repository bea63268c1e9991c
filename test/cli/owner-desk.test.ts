import { chmodSync, mkdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OnefoldError } from "../../src/base/errors.ts";
import { deskPath } from "../../src/cli/desk-path.ts";
import { askOwner, openOwnerDesk, type OwnerDesk } from "../../src/cli/owner-desk.ts";

let root: string;
let data: string;
let desk: OwnerDesk | null = null;
const before = process.env["TMPDIR"];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "desk-"));
  data = join(root, "data");
  mkdirSync(data);
  process.env["TMPDIR"] = root;
});
afterEach(async () => {
  await desk?.close();
  desk = null;
  if (before === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = before;
  await rm(root, { recursive: true, force: true });
});

const ask = (work: string, asked: object, progress: (told: object) => void = () => {}, signal?: AbortSignal) =>
  askOwner(data, work, asked, progress, signal);

describe("the desk of a running server", () => {
  it("passes on what is asked, how it advances, what comes of it and what is thrown, and is its user's alone", async () => {
    desk = await openOwnerDesk(data, {
      add: async ({ a, b }: { a: number; b: number }, onProgress) => {
        onProgress({ phase: "adding", done: 1, total: 2 });
        return { sum: a + b };
      },
      fail: () => Promise.reject(new OnefoldError("VIEW_UNKNOWN", "no such view", { candidates: ["spend"] })),
    });
    const told: object[] = [];
    expect(await ask("add", { a: 1, b: 2 }, (progress) => told.push(progress))).toEqual({ done: { sum: 3 } });
    expect(told).toEqual([{ phase: "adding", done: 1, total: 2 }]);
    await expect(ask("fail", {})).rejects.toMatchObject({ code: "VIEW_UNKNOWN", candidates: ["spend"] });
    await expect(ask("nothing", {})).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    expect(statSync(deskPath(data)).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(deskPath(data))).mode & 0o777).toBe(0o700);
  });

  it("is told when the caller goes away, and the caller when the server ends", async () => {
    const stopped: string[] = [];
    desk = await openOwnerDesk(data, {
      wait: (_asked: never, onProgress, signal) => {
        onProgress({ phase: "waiting", done: 0, total: null });
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            stopped.push("stopped");
            reject(new OnefoldError("CANCELLED", "stopped"));
          });
        });
      },
    });
    const leaving = new AbortController();
    await expect(ask("wait", {}, () => leaving.abort(), leaving.signal)).rejects.toMatchObject({ code: "CANCELLED" });
    await expect.poll(() => stopped, { timeout: 60_000 }).toEqual(["stopped"]);
    const ending = ask("wait", {}, () => void desk!.close());
    await expect(ending).rejects.toMatchObject({ code: "NOT_READY" });
    expect(await ask("wait", {})).toBeNull();
  });

  it("is neither opened nor asked in a folder that others may write", async () => {
    const folder = dirname(deskPath(data));
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    await expect(openOwnerDesk(data, {})).rejects.toMatchObject({ code: "STORAGE_FAILED", where: folder });
    expect(await ask("add", {})).toBeNull();
  });
});
