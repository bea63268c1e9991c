/** A worker that is there and does nothing: stopped by the system, as one in an endless loop would be. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VisitsServer } from "../platform/workers-in-test.ts";
import { visit } from "../platform/visits-load.ts";

let folder: string;
let server: VisitsServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-stuck-"));
  server = await VisitsServer.start(join(folder, "data"));
  await server.ready();
});
afterEach(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("a worker that is stuck", () => {
  it("is ended and started again, and what was pushed is there", { timeout: 240_000 }, async () => {
    const connection = server.connect();
    expect(await connection.push([visit("ada", 3)])).toMatchObject({ status: 200 });
    connection.close();
    const [stuck] = server.workers();
    process.kill(stuck!, "SIGSTOP");
    await expect.poll(() => server.workers().includes(stuck!), { timeout: 120_000 }).toBe(false);
    await expect.poll(() => server.workers().length, { timeout: 60_000 }).toBe(2);
    await server.ready();
    const answers = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const one = server.connect();
        const answer = await one.vector("ada");
        one.close();
        return answer?.body["features"].visits;
      }),
    );
    expect(new Set(answers)).toEqual(new Set([1]));
  });
});
