/** What is kept running here are not processes but their promises: real ones end in test/platform/workers.test.ts. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { OnefoldError } from "../../../src/base/errors.ts";
import { Supervisor } from "../../../src/platform/workers/supervisor.ts";
import type { WorkerProcess } from "../../../src/platform/workers/worker-process.ts";

class Played {
  isWarm = false;
  isStopped = false;
  beWarm!: () => void;
  end!: (error: OnefoldError) => void;
  readonly ended: Promise<OnefoldError> = new Promise((resolve) => (this.end = resolve));
  readonly warm: Promise<void> = Promise.race([
    new Promise<void>((resolve) => {
      this.beWarm = () => {
        this.isWarm = true;
        resolve();
      };
    }),
    this.ended.then((error) => Promise.reject(error)),
  ]);

  constructor() {
    this.warm.catch(() => undefined);
  }

  stop(): void {
    this.isStopped = true;
    this.end(new OnefoldError("WORKERS_FAILED", "told to"));
  }

  kill(): void {
    this.stop();
  }
}

function supervise(count: number): {
  readonly supervisor: Supervisor;
  readonly started: Played[];
  readonly delays: number[];
  readonly back: number[];
} {
  const started: Played[] = [];
  const delays: number[] = [];
  const back: number[] = [];
  const supervisor = new Supervisor({
    count,
    start: () => {
      const played = new Played();
      started.push(played);
      return played as unknown as WorkerProcess;
    },
    onRestart: (_error, delayMs) => delays.push(delayMs),
    onBack: (worker) => back.push(worker),
    onEnd: () => undefined,
  });
  return { supervisor, started, delays, back };
}

afterEach(() => void vi.useRealTimers());

describe("a supervisor", () => {
  it("begins once all are warm, or with the error of the one that cannot be", async () => {
    const good = supervise(2);
    let hasBegun = false;
    const begun = good.supervisor.begin().then(() => (hasBegun = true));
    expect(good.supervisor.waitingFor).toEqual(["worker 1 of 2", "worker 2 of 2"]);
    good.started[0]!.beWarm();
    await Promise.resolve();
    expect([hasBegun, good.supervisor.waitingFor]).toEqual([false, ["worker 2 of 2"]]);
    good.started[1]!.beWarm();
    await begun;
    await good.supervisor.stop();

    const bad = supervise(2);
    const failing = bad.supervisor.begin();
    bad.started[0]!.end(new OnefoldError("DEFINITION_UNREADABLE", "line 3"));
    await expect(failing).rejects.toMatchObject({ code: "DEFINITION_UNREADABLE", message: "line 3" });
    expect(bad.started[1]!.isStopped).toBe(true);
    expect([bad.started.length, bad.delays]).toEqual([2, []]);
  });

  it("starts again what ends, later each time, and gives up with the last reason", async () => {
    const { supervisor, started, delays } = supervise(2);
    for (const one of started) one.beWarm();
    await supervisor.begin();
    for (let death = 1; death <= 6; death++) {
      const victim = death === 1 ? started[0]! : started.at(-1)!;
      victim.end(new OnefoldError("WORKERS_FAILED", `death ${death}`, { hint: "mend it" }));
      if (death <= 5) await expect.poll(() => started.length, { timeout: 60_000, interval: 5 }).toBe(2 + death);
    }
    const failure = await supervisor.failed;
    expect(failure.toJSON()).toEqual({
      code: "WORKERS_FAILED",
      message: "worker 1 ended 6 times in a row, the last time with WORKERS_FAILED: death 6",
      hint: "mend it",
    });
    expect(delays).toEqual([100, 200, 400, 800, 1600]);
    expect(supervisor.restarts).toBe(5);
    expect(supervisor.processes).toHaveLength(1);
    await supervisor.stop();
    expect(started[1]!.isStopped).toBe(true);
  });

  it("tells when one that was started again serves, and of no other", async () => {
    const { supervisor, started, back } = supervise(2);
    for (const one of started) one.beWarm();
    await supervisor.begin();
    started[1]!.end(new OnefoldError("WORKERS_FAILED", "gone"));
    await expect.poll(() => started.length, { timeout: 60_000, interval: 5 }).toBe(3);
    expect(back).toEqual([]);
    started[2]!.beWarm();
    await expect.poll(() => back, { interval: 1 }).toEqual([2]);
    await supervisor.stop();
  });

  it("begins anew with one that has served for a while, and not with one that was long at its start", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const { supervisor, started, delays } = supervise(1);
    const endAfterLong = async (): Promise<void> => {
      const count = started.length;
      await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(60_000);
      started.at(-1)!.end(new OnefoldError("WORKERS_FAILED", "gone"));
      await expect.poll(() => started.length, { timeout: 60_000, interval: 5 }).toBe(count + 1);
    };
    started[0]!.beWarm();
    await supervisor.begin();
    await endAfterLong();
    started.at(-1)!.beWarm();
    await endAfterLong();
    await endAfterLong();
    await endAfterLong();
    expect(delays).toEqual([100, 100, 200, 400]);
    await supervisor.stop();
  });

  it("starts nothing once it stops, though one is waited for", async () => {
    const { supervisor, started, delays } = supervise(1);
    started[0]!.beWarm();
    await supervisor.begin();
    started[0]!.end(new OnefoldError("WORKERS_FAILED", "gone"));
    await expect.poll(() => delays.length, { interval: 1 }).toBe(1);
    await supervisor.stop();
    expect(started).toHaveLength(1);
  });
});
