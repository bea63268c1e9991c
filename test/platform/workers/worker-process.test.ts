/** How the owner learns that a worker has ended, with real processes. */
import cluster from "node:cluster";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Answers } from "../../../src/platform/workers/ask-link.ts";
import type { WorkerSettings } from "../../../src/platform/workers/messages.ts";
import { WorkerProcess } from "../../../src/platform/workers/worker-process.ts";

const STUCK = fileURLToPath(new URL("stuck-worker.mjs", import.meta.url));

describe("a worker process", () => {
  it("has ended though it never took the listening port that was sent to it", async () => {
    const before = new Set(Object.keys(cluster.workers ?? {}));
    const worker = new WorkerProcess({ module: STUCK, arguments: [] }, {} as WorkerSettings, {} as Answers);
    const { process: child } = Object.entries(cluster.workers!).find(([id]) => !before.has(id))![1]!;
    let isDisconnected = false;
    child.once("disconnect", () => (isDisconnected = true));
    let ended: string | undefined;
    void worker.ended.then(({ message }) => (ended = message));
    // It said so behind asking for the port, so that has been answered, and it takes up nothing any more.
    await worker.warm;
    const closed = once(child, "close");
    worker.kill();
    await closed;
    await new Promise((resolve) => setImmediate(resolve));
    // Else this is not what it is a test of.
    expect(isDisconnected).toBe(false);
    expect(ended).toBe("a worker ended: SIGKILL");
    expect(worker.isWarm).toBe(false);
  });
});
