import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ReplayClock } from "../../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../../src/base/micros.ts";
import { BatchLoop } from "../../../src/ingest/batch/batch-loop.ts";
import type { BatchReader, RunOptions } from "../../../src/ingest/batch/batch-reader.ts";
import { type BatchRun, type BatchState, NEVER_READ } from "../../../src/ingest/batch/batch-state.ts";

const START = parseMicros("2026-03-01T00:00:00Z");

const RUN: BatchRun = {
  id: "",
  scheduledFor: null,
  startedAt: START,
  endedAt: null,
  status: "succeeded",
  attempts: 1,
  rows: 0,
  accepted: 0,
  duplicates: 0,
  rejected: 0,
  lateRows: 0,
  lateFiles: [],
  changedFiles: [],
  error: null,
};

/** A loop over a reader of which only the state matters, and a clock that is moved by the waits. */
function looped(schedule: string, state: Partial<BatchState>, outcomes: readonly ("good" | "bad" | "lost")[]) {
  const clock = new ReplayClock(START);
  const runs: string[] = [];
  let current: BatchState = { ...NEVER_READ, ...state };
  const reader = {
    state: async () => current,
    dueAt: async (nextDueAt: number | null) => {
      current = { ...current, nextDueAt };
    },
    run: async ({ scheduledFor }: RunOptions) => {
      const outcome = outcomes[runs.length];
      runs.push(`${formatMicros(clock.now())} for ${formatMicros(scheduledFor as Micros)}: ${outcome}`);
      // Nothing can be written, not even that it failed.
      if (outcome === "lost") throw new Error("the disk is full");
      const failures = outcome === "bad" ? current.failures + 1 : 0;
      const ended = [{ ...RUN, endedAt: clock.now() }];
      current = { ...current, failures, lastScheduledFor: scheduledFor!, runs: ended };
      if (outcome === "bad") throw new Error("it is bad");
    },
  } as unknown as BatchReader;
  const loop = new BatchLoop({
    reader,
    schedule,
    clock,
    random: () => 1,
    wait: async (micros) => {
      await nextTurn();
      // Nothing more is to come: time stands still.
      if (runs.length < outcomes.length) clock.advanceTo((clock.now() + micros) as Micros);
    },
  });
  return { loop, runs, state: () => current };
}

async function until(isSo: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 120_000;
  while (!isSo()) {
    if (performance.now() > giveUpAt) throw new Error("it did not come to be so within two minutes");
    await nextTurn();
  }
}

describe("a batch source on a schedule", () => {
  it("is read at each of its times, and says when next", async () => {
    const { loop, runs, state } = looped("0 3 * * *", {}, ["good", "good"]);
    await until(() => runs.length === 2 && state().nextDueAt === parseMicros("2026-03-03T03:00:00Z"));
    await loop.close();
    expect(runs).toEqual([
      "2026-03-01T03:00:00Z for 2026-03-01T03:00:00Z: good",
      "2026-03-02T03:00:00Z for 2026-03-02T03:00:00Z: good",
    ]);
    expect(state().nextDueAt).toBeNull();
  });

  it("is read once, at once, for all times that were missed", async () => {
    const lastScheduledFor = parseMicros("2026-02-20T03:00:00Z");
    const { loop, runs } = looped("0 3 * * *", { lastScheduledFor }, ["good", "good"]);
    await until(() => runs.length === 2);
    await loop.close();
    expect(runs).toEqual([
      "2026-03-01T00:00:00Z for 2026-02-28T03:00:00Z: good",
      "2026-03-01T03:00:00Z for 2026-03-01T03:00:00Z: good",
    ]);
  });

  it("is read again after a failure, later each time, and then as before", async () => {
    const { loop, runs } = looped("0 3 * * *", {}, ["bad", "bad", "bad", "good", "good"]);
    await until(() => runs.length === 5);
    await loop.close();
    expect(runs.map((run) => run.slice(0, 20))).toEqual([
      "2026-03-01T03:00:00Z",
      "2026-03-01T03:00:01Z",
      "2026-03-01T03:00:03Z",
      "2026-03-01T03:00:07Z",
      "2026-03-02T03:00:00Z",
    ]);
  });

  it("goes on at once with a run that the process did not live to end, whatever asked for it", async () => {
    const cut = { ...RUN, id: "cut", status: "running" } as const;
    const lastScheduledFor = parseMicros("2026-02-28T03:00:00Z");
    const { loop, runs } = looped("0 3 * * *", { lastScheduledFor, runs: [cut] }, ["good", "good"]);
    await until(() => runs.length === 2);
    await loop.close();
    expect(runs.map((run) => run.slice(0, 20))).toEqual(["2026-03-01T00:00:00Z", "2026-03-01T03:00:00Z"]);
  });

  it("waits longer each time where not even the failure can be written", async () => {
    const { loop, runs } = looped("0 3 * * *", {}, ["lost", "lost", "lost", "good", "good"]);
    await until(() => runs.length === 5);
    await loop.close();
    expect(runs.map((run) => run.slice(0, 20))).toEqual([
      "2026-03-01T03:00:00Z",
      "2026-03-01T03:00:01Z",
      "2026-03-01T03:00:03Z",
      "2026-03-01T03:00:07Z",
      "2026-03-02T03:00:00Z",
    ]);
  });

  it("goes on by its schedule where the clock was ahead when it was read last", async () => {
    const ahead = parseMicros("2027-03-01T00:00:00Z");
    const { loop, runs } = looped("0 * * * *", { lastScheduledFor: ahead }, ["good", "good"]);
    await until(() => runs.length === 2);
    await loop.close();
    expect(runs).toEqual([
      "2026-03-01T01:00:00Z for 2026-03-01T01:00:00Z: good",
      "2026-03-01T02:00:00Z for 2026-03-01T02:00:00Z: good",
    ]);
  });
});
