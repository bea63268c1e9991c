/**
 * What quality checks cost: the same rows pushed to three platforms in turn, each in a folder of its own: one without
 * expectations, one that judges expectations of single values at the door, and one that besides judges those over time and
 * brings profiles up to date while rows come, once a second in place of once a minute, in its usual part of the time.
 * `npm run bench -- quality [--quick] [--json]`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { count, entity, expectation, max, mean, openPlatform, stream, t, view } from "../src/index.ts";
import { report } from "./report.ts";

const isQuick = process.argv.includes("--quick");
const EVENTS = isQuick ? 20_000 : 100_000;
const ROUNDS = isQuick ? 2 : 7;
const BATCH_ROWS = 500;
const CALLERS = 4;
/** The part of the throughput that must be left. */
const GOAL = 0.9;

const MODES = ["plain", "expecting", "checked"] as const;
type Mode = (typeof MODES)[number];

interface Measured {
  readonly rate: number;
  /** Events a second of processor time, of all threads, while rows came. */
  readonly cpuRate: number;
  /** Processor time an event, to judge all once and to bring all profiles up to date behind the last row. */
  readonly checkMicros: number;
}

function definitionsOf(expects: boolean) {
  const airport = entity("airport", { airport: t.string() });
  const arrivals = stream("arrivals", {
    columns: {
      flight: t.string(),
      origin: t.string(),
      destination: t.string(),
      carrier: t.string(),
      at: t.timestamp(),
      delay: t.int64().nullable(),
    },
    eventTime: "at",
    id: "flight",
    ...(expects
      ? {
          expect: [
            expectation("delay", { range: { min: -90, max: 1440 }, severity: "quarantine" }),
            expectation("origin", { pattern: "^A[0-9]+$", severity: "block" }),
            expectation("carrier", { oneOf: Array.from({ length: 17 }, (_, i) => `C${i}`), severity: "quarantine" }),
            expectation("delay", { nullRate: { max: 0.05 } }),
            expectation("destination", { pattern: "^A" }),
            expectation({ arrivalRate: { min: 1, per: "1m" } }),
          ],
        }
      : {}),
  });
  const features = {
    arrivals_1h: count().over("1h"),
    mean_delay_1h: mean("delay").over("1h"),
    worst_delay_24h: max("delay").over("24h"),
    mean_delay_7d: mean("delay").over("7d"),
    arrivals: count(),
  };
  const views = (["origin", "destination", "carrier"] as const).map((key) =>
    view(`${key}_delays`, { entity: airport, source: arrivals, key: { airport: key }, features }),
  );
  return [airport, arrivals, ...views];
}

function batches(): Record<string, unknown>[][] {
  const now = Date.now();
  return Array.from({ length: EVENTS / BATCH_ROWS }, (_, b) =>
    Array.from({ length: BATCH_ROWS }, (_, i) => {
      const n = (b * BATCH_ROWS + i) * 48271;
      return {
        flight: `flight-${n}`,
        origin: `A${n % 331}`,
        destination: `A${n % 293}`,
        carrier: `C${n % 17}`,
        at: new Date(now - (n % 60) * 1000).toISOString(),
        delay: n % 50 === 0 ? null : (n % 90) - 20,
      };
    }),
  );
}

async function measure(mode: Mode, dataDir: string): Promise<Measured> {
  const definitions = definitionsOf(mode !== "plain");
  const platform = await openPlatform({
    dataDir,
    definitions,
    alerts: false,
    poll: false,
    auditMillis: 0,
    checkMillis: mode === "checked" ? 1000 : 0,
  });
  try {
    await platform.apply(definitions);
    const server = await platform.serve({ port: 0 });
    const waiting = batches();
    const cpuBefore = process.cpuUsage();
    const began = performance.now();
    const caller = async (): Promise<void> => {
      for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
        const { accepted } = await platform.push("arrivals", batch);
        if (accepted !== BATCH_ROWS) throw new Error(`only ${accepted} of a batch were accepted`);
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    const seconds = (performance.now() - began) / 1000;
    const cpu = process.cpuUsage(cpuBefore);
    await platform.settle();
    const beforeChecks = process.cpuUsage();
    await platform.checks.quality.signals(Date.now() * 1000);
    await platform.checks.quality.updateProfiles(1);
    const checks = process.cpuUsage(beforeChecks);
    await server.close();
    return {
      rate: EVENTS / seconds,
      cpuRate: (EVENTS / (cpu.user + cpu.system)) * 1e6,
      checkMicros: (checks.user + checks.system) / EVENTS,
    };
  } finally {
    await platform.close();
  }
}

const root = mkdtempSync(join(tmpdir(), "onefold-bench-quality-"));
try {
  // The first of all pays for what is compiled.
  await measure("checked", join(root, "warm"));
  const measured: Record<Mode, Measured[]> = { plain: [], expecting: [], checked: [] };
  for (let round = 0; round < ROUNDS; round++) {
    console.error(`round ${round + 1} of ${ROUNDS}`);
    // None is always the one that comes first.
    for (let i = 0; i < MODES.length; i++) {
      const mode = MODES[(round + i) % MODES.length]!;
      const folder = join(root, `${round}-${mode}`);
      measured[mode].push(await measure(mode, folder));
      rmSync(folder, { recursive: true, force: true });
    }
  }
  let passed = true;
  const shared = { bench: "quality", better: "higher", goal: GOAL } as const;
  for (const mode of ["expecting", "checked"] as const) {
    const ratios = (of: "rate" | "cpuRate"): number[] =>
      measured[mode].map((one, round) => one[of] / measured.plain[round]![of]);
    passed = report({ ...shared, case: mode, unit: "of the events/s without", rounds: ratios("rate") }) && passed;
    const unit = "of the events a second of processor time without";
    passed = report({ ...shared, case: `${mode}-cpu`, unit, rounds: ratios("cpuRate") }) && passed;
  }
  report({
    bench: "quality",
    case: "judged-and-profiled-behind",
    unit: "us of processor time an event",
    better: "lower",
    rounds: measured.expecting.map(({ checkMicros }) => checkMicros),
  });
  process.exitCode = passed ? 0 : 1;
} finally {
  rmSync(root, { recursive: true, force: true });
}
