/** Drift detection, and the other rules that hold by default, over real flights: what changes is told, and nothing else. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { formatMicros, type Micros, parseMicros } from "../../src/base/micros.ts";
import { webhook } from "../../src/index.ts";
import type { Notice } from "../../src/monitor/alerts/notice.ts";
import { openPlatform, type Platform } from "../../src/platform.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { openReceiver, type Receiver } from "../monitor/alerts/receiver.ts";
import {
  type Change,
  definitions,
  departBefore,
  judged,
  juneFlights,
  pass,
  send,
  type World,
} from "./watched-flights.ts";

const SEED = Number(process.env["ONEFOLD_SEED"] ?? 3);
const START = parseMicros("2001-07-01T00:00:00Z");
const HOUR = 3_600_000_000;

let folder: string;
let receiver: Receiver;
let platform: Platform;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-watched-flights-"));
  receiver = await openReceiver();
});
afterEach(async () => {
  await platform.close();
  await receiver.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

async function open(): Promise<World> {
  const clock = new ReplayClock(START);
  const hook = webhook("hook", { url: receiver.url });
  platform = await openPlatform({
    dataDir: folder,
    clock,
    definitions: [...definitions, hook],
    driftSampleRate: 1,
    servingLogSampleRate: 0.05,
    // No part is given up because the machine is slow.
    alerts: { everyMicros: 50_000, answerMicros: 600e6 },
    checkMillis: 0,
    auditMillis: 0,
  });
  await platform.apply([...definitions, hook]);
  const server = await platform.serve({ port: 0 });
  const world = {
    platform,
    clock,
    random: new SeededRandom(SEED),
    flights: await juneFlights(40_000),
    url: server.url,
  };
  await departBefore(world);
  return world;
}

/** What the receiver was told since the last call, each with the hours since the start. */
function heard(): { readonly line: string; readonly hours: number; readonly notice: Notice }[] {
  const notices = receiver.received.splice(0).map(({ json }) => json as unknown as Notice);
  return notices.flatMap((notice) =>
    notice.found.map(({ subject }) => ({
      line: `${notice.event} ${notice.rule} ${subject.expectation ?? subject.feature ?? subject.source}`,
      hours: (parseMicros(notice.at) - START) / HOUR,
      notice,
    })),
  );
}

function lines(told: ReturnType<typeof heard>): string[] {
  return told.map(({ line }) => line).toSorted();
}

const seconds: Change = (flight) => ({ ...flight, delay: flight.delay * 60 });
const noEvening: Change = (flight) => ({
  ...flight,
  daypart: flight.daypart === "evening" ? "afternoon" : flight.daypart,
});
/** A minute more each hour. */
const later: Change = (flight, hours) => ({ ...flight, delay: flight.delay + Math.floor(hours) });

describe("drift detection on the flights", () => {
  it(
    `tells of a source that stops, a unit, a category and a slow shift, each in its time, and of nothing else (ONEFOLD_SEED=${SEED})`,
    { timeout: 900_000 },
    async () => {
      const world = await open();
      await pass(world, 8);
      const source = `range:${formatMicros(START)}..${formatMicros((START + 8 * HOUR) as Micros)}`;
      await send(`${world.url}/drift/flight_model/baseline`, { source });
      await pass(world, 12);
      expect(heard()).toEqual([]);

      // A source stops: within the half hour that is promised, the two minutes of the rule, and a round.
      await pass(world, 1, { isStopped: true });
      const [stopped] = heard();
      expect(stopped).toMatchObject({ line: "firing default_source_silence departures" });
      expect(stopped!.hours).toBeLessThanOrEqual(20 + 45 / 60);
      await pass(world, 2);
      expect(lines(heard())).toEqual(["resolved default_source_silence departures"]);

      // Minutes become seconds: what is expected fails in the first round; the values are another two windows later.
      await pass(world, 3, { change: seconds });
      const unit = heard();
      expect(lines(unit)).toEqual([
        "firing default_drift delay",
        "firing default_drift late",
        "firing default_expectation delay_range",
      ]);
      expect(unit[0]!.line).toContain("default_expectation");
      expect(unit[0]!.hours).toBeLessThanOrEqual(23 + 10 / 60);
      for (const { hours } of unit.slice(1)) expect(hours).toBeLessThanOrEqual(25 + 10 / 60);
      await pass(world, 3);
      expect(lines(heard())).toEqual(lines(unit).map((line) => line.replace("firing", "resolved")));

      await pass(world, 3, { change: noEvening });
      const category = heard();
      expect(lines(category)).toEqual(["firing default_drift daypart"]);
      expect(category[0]!.hours).toBeLessThanOrEqual(31 + 10 / 60);
      await pass(world, 3);
      expect(lines(heard())).toEqual(["resolved default_drift daypart"]);

      // A tenth of the standard deviation, from which on the distance is drift, is 3.6 minutes.
      await pass(world, 10, { change: later });
      const shift = heard();
      expect(shift[0]).toMatchObject({ line: "firing default_drift delay" });
      expect(shift[0]!.hours).toBeGreaterThan(35 + 3);
      expect(shift[0]!.hours).toBeLessThanOrEqual(35 + 9);
      expect(shift.slice(1).filter(({ line }) => !line.endsWith(" late"))).toEqual([]);

      // What was served is what is computed again.
      const { compared, mismatched, missing, extra } = await platform.checks.skew.round();
      expect(compared).toBeGreaterThan(1000);
      expect([mismatched, missing, extra]).toEqual([0, 0, 0]);
      await judged(world, (world.clock.now() + 60_000_000) as Micros);
      expect(heard()).toEqual([]);
    },
  );
});
