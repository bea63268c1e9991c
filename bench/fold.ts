/**
 * Time of the fold on one hot entity and over many: events folded, vectors read, states written and read.
 *
 *     node bench/fold.ts [--json] [--rounds 5]
 */
import { cpus } from "node:os";
import { type Micros } from "../src/base/micros.ts";
import {
  type EntityDefinition,
  type FeatureDefinition,
  type StreamDefinition,
  type ViewDefinition,
} from "../src/define/definition.ts";
import { type Expression } from "../src/define/expression.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import { createReadBuffer } from "../src/fold/view-fold.ts";

const HOUR = 3_600_000_000;
const int64 = { name: "int64" } as const;
const float64 = { name: "float64" } as const;
const isLate: Expression = { op: "gt", left: { op: "column", name: "delay" }, right: { op: "literal", value: 15 } };

const airport: EntityDefinition = {
  kind: "entity",
  name: "airport",
  keys: [{ name: "airport", type: { name: "string" } }],
};
const arrivals: StreamDefinition = {
  kind: "stream",
  name: "arrivals",
  columns: [
    { name: "origin", type: { name: "string" }, nullable: false },
    { name: "at", type: { name: "timestamp" }, nullable: false },
    { name: "delay", type: int64, nullable: true },
  ],
  derived: [],
  constraints: [],
  eventTime: "at",
  allowNonFinite: false,
  maxFutureMicros: 60_000_000,
  dedupeWithinMicros: 168 * HOUR,
  availableAfterMicros: 0,
};

function feature(
  name: string,
  fn: FeatureDefinition["aggregation"]["fn"],
  hours: number | null,
  where?: Expression,
): FeatureDefinition {
  return {
    name,
    type: fn === "mean" || fn === "stddev" ? float64 : int64,
    aggregation: {
      fn,
      ...(fn === "count" ? {} : { column: "delay" }),
      ...(hours === null
        ? {}
        : { over: hours < 0 ? { kind: "last", events: -hours } : { kind: "time", micros: hours * HOUR } }),
      ...(where === undefined ? {} : { where }),
    },
  };
}

const view: ViewDefinition = {
  kind: "view",
  name: "origin_delays",
  version: 1,
  entity: "airport",
  source: "arrivals",
  key: ["origin"],
  features: [
    feature("flights_1h", "count", 1),
    feature("mean_1h", "mean", 1),
    feature("late_1h", "count", 1, isLate),
    feature("flights_24h", "count", 24),
    feature("mean_24h", "mean", 24),
    feature("worst_24h", "max", 24),
    feature("late_24h", "count", 24, isLate),
    feature("mean_7d", "mean", 168),
    feature("spread_7d", "stddev", 168),
    feature("mean_last_20", "mean", -20),
    feature("flights", "count", null),
    feature("mean", "mean", null),
  ],
  online: true,
  offline: true,
  freshness: "real-time",
  exactEvents: 128,
};

interface Case {
  readonly name: string;
  readonly unit: string;
  /** Goal in the unit; lower is better. */
  readonly goal: number;
  /** Runs it once; gives the figure. */
  run(): number;
}

const fold = compileViewFold(view, arrivals, airport);
const EVENTS = 500_000;

/** Events of `entities` keys in turn, `gapMicros` apart for each key, delays from a fixed sequence. */
function foldAll(
  entities: number,
  gapMicros: number,
): { states: ReturnType<typeof fold.empty>[]; elapsedMs: number; end: number } {
  const states = Array.from({ length: entities }, () => fold.empty());
  const rows = Array.from({ length: 1024 }, (_, i) => ["JFK", 0, ((i * 7919) % 211) - 30]);
  const began = performance.now();
  let time = 0;
  for (let i = 0; i < EVENTS; i++) {
    time = Math.floor((i * gapMicros) / entities);
    fold.fold(states[i % entities]!, {
      offset: i,
      eventTime: time as Micros,
      knownTime: time as Micros,
      row: rows[i & 1023]!,
    });
  }
  return { states, elapsedMs: performance.now() - began, end: time };
}

const hot = foldAll(1, 20_000_000);
const buffer = createReadBuffer(view.features.length);
const hotBytes = fold.encode(hot.states[0]!);
let checksum = 0;

function microsEach(times: number, work: (i: number) => number): number {
  const began = performance.now();
  for (let i = 0; i < times; i++) checksum += work(i);
  return ((performance.now() - began) * 1000) / times;
}

const cases: Case[] = [
  { name: "fold-hot-entity", unit: "us/event", goal: 1, run: () => (foldAll(1, 20_000_000).elapsedMs * 1000) / EVENTS },
  {
    name: "fold-1000-entities",
    unit: "us/event",
    goal: 1,
    run: () => (foldAll(1000, 600_000_000).elapsedMs * 1000) / EVENTS,
  },
  {
    name: "read-hot-entity",
    unit: "us/vector",
    goal: 5,
    run: () =>
      microsEach(100_000, (i) => {
        fold.read(hot.states[0]!, (hot.end + i) as Micros, buffer);
        return buffer.values[0] as number;
      }),
  },
  {
    name: "encode-hot-entity",
    unit: "us/state",
    goal: 10,
    run: () => microsEach(20_000, () => fold.encode(hot.states[0]!).length),
  },
  {
    name: "decode-hot-entity",
    unit: "us/state",
    goal: 10,
    run: () => microsEach(20_000, () => fold.decode(hotBytes).eventCount),
  },
];

const asJson = process.argv.includes("--json");
const roundsAt = process.argv.indexOf("--rounds");
const rounds = roundsAt === -1 ? 5 : Number(process.argv[roundsAt + 1]);
const machine = `${cpus().length} x ${cpus()[0]!.model}, Node ${process.versions.node}`;
if (!asJson) {
  console.log(
    `${machine}; a hot state has ${hotBytes.length} bytes in ${hot.states[0]!.list.bucketCount} buckets and ${hot.states[0]!.list.rawCount} raw records`,
  );
}
for (const { name, unit, goal, run } of cases) {
  run();
  const values = Array.from({ length: rounds }, run).sort((a, b) => a - b);
  const value = values[Math.floor(values.length / 2)]!;
  const round = (figure: number): number => Number(figure.toPrecision(4));
  const line = {
    bench: "fold",
    case: name,
    value: round(value),
    unit,
    better: "lower",
    goal,
    pass: value <= goal,
    rounds,
    min: round(values[0]!),
    max: round(values.at(-1)!),
    machine,
  };
  console.log(
    asJson
      ? JSON.stringify(line)
      : `${name.padEnd(20)} ${String(line.value).padStart(8)} ${unit.padEnd(10)} goal ${goal} ${line.pass ? "met" : "missed"} (${line.min} to ${line.max})`,
  );
}
if (!Number.isFinite(checksum)) throw new Error("the reads gave no numbers");
