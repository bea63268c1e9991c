/**
 * Training sets: `train` beside the fastest hand-written DuckDB SQL for the same features in the same run.
 * `npm run bench -- training [--json] [--quick] [--case a] [--events N] [--rounds N]`.
 *
 * a: beside SQL; b: three times and a tenth as many events; c: beside Feast, where ONEFOLD_PYTHON has it.
 *
 * Both read Parquet and write Parquet. The values are compared: where they differ beyond rounding of sums, the
 * benchmark fails.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, report } from "./report.ts";
import { feastDifferences, measureFeast } from "./training/beside-feast.ts";
import { differences } from "./training/compare.ts";
import type { Measured, Measurement } from "./training/measured.ts";
import { SQL_FORMS } from "./training/reference-sql.ts";
import { makeWorkload, type Workload } from "./training/workload.ts";

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    events: { type: "string" },
    rounds: { type: "string" },
    case: { type: "string", multiple: true, default: ["a", "b", "c"] },
  },
});
const EVENTS = Number(options.events ?? (options.quick ? 20_000 : 10_000_000));
const ROUNDS = Number(options.rounds ?? (options.quick ? 1 : 3));
/** Feast takes a minute for a tenth of the events. */
const FEAST_EVENTS = Math.min(EVENTS, options.quick ? 20_000 : 1_000_000);
const GIGABYTE = 1e9;

const folder = await mkdtemp(join(tmpdir(), "onefold-bench-training-"));
let passed = true;
try {
  const workload = await makeWorkload(join(folder, "whole"), EVENTS);
  if (options.case.includes("a")) await besideSql(workload);
  if (options.case.includes("b")) await linear(workload);
  if (options.case.includes("c")) await besideFeast();
  process.exitCode = passed ? 0 : 1;
} catch (error) {
  // Not what a missed goal ends with.
  console.error(error);
  process.exitCode = 2;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function besideSql(workload: Workload): Promise<void> {
  const own: Measured[] = [];
  const forms = new Map<string, Measured[]>(SQL_FORMS.map((form) => [form, []]));
  const secondsOf = (form: string): number[] => forms.get(form)!.map(({ seconds }) => seconds);
  let running = [...SQL_FORMS];
  for (let round = 0; round < ROUNDS; round++) {
    own.push(await measure({ what: "windows", workload, out: outOf("train") }));
    for (const form of running) {
      forms.get(form)!.push(await measure({ what: form, workload, out: outOf(form) }));
      if (round > 0) continue;
      const wrong = await differences(outOf("train"), outOf(form));
      if (wrong !== null) throw new Error(`the training set is not what the ${form} form gives: ${wrong}`);
    }
    // The others are slower whatever the noise.
    const best = Math.min(...running.map((form) => secondsOf(form)[0]!));
    running = running.filter((form) => secondsOf(form)[0]! < best * 1.5);
  }
  const fastest = running.toSorted((a, b) => median(secondsOf(a)) - median(secondsOf(b)))[0]!;
  const seconds = own.map((one) => one.seconds);
  const size = sizeText(workload.events);
  for (const form of SQL_FORMS) {
    say({ case: `sql-${form}-${size}`, unit: "s", better: "lower", rounds: secondsOf(form) });
  }
  const reference = { name: `sql-${fastest}`, rounds: secondsOf(fastest) };
  say({ case: `train-${size}`, unit: "s", better: "lower", rounds: seconds, reference, goal: 1.5 });
  // What both take of the cores, whoever else is on them.
  const cpu = (of: readonly Measured[]): number[] => of.map(({ cpuSeconds }) => cpuSeconds);
  const cpuReference = { name: `sql-${fastest}`, rounds: cpu(forms.get(fastest)!) };
  say({ case: `train-${size}-cpu`, unit: "cpu s", better: "lower", rounds: cpu(own), reference: cpuReference });
  const peaks = own.map((one) => one.peakBytes / GIGABYTE);
  say({ case: `train-${size}-peak-memory`, unit: "GB", better: "lower", rounds: peaks, goal: 2 });
}

/** What an event costs among three times as many, beside what it costs here and among a tenth as many. */
async function linear(workload: Workload): Promise<void> {
  const measuredAmong = async (events: number): Promise<Measured> => {
    if (events === EVENTS) return measure({ what: "windows", workload, out: outOf("train") });
    const other = await makeWorkload(join(folder, String(events)), events);
    const measured = await measure({ what: "windows", workload: other, out: outOf(`train-${events}`) });
    await rm(join(folder, String(events)), { recursive: true });
    return measured;
  };
  const large = await measuredAmong(EVENTS * 3);
  for (const events of [EVENTS, EVENTS / 10]) {
    const small = await measuredAmong(events);
    for (const [kind, of] of [
      ["", (one: Measured) => one.seconds],
      ["cpu-", (one: Measured) => one.cpuSeconds],
    ] as const) {
      const reference = { name: `that among ${sizeText(events)}`, rounds: [(of(small) / events) * 1e6] };
      const rounds = [(of(large) / EVENTS / 3) * 1e6];
      const name = `${kind}cost-of-an-event-${sizeText(EVENTS * 3)}-beside-${sizeText(events)}`;
      say({ case: name, unit: "us", better: "lower", rounds, reference, goal: 1.25 });
    }
  }
  const peak = { rounds: [large.peakBytes / GIGABYTE], unit: "GB", better: "lower", goal: 2 } as const;
  say({ case: `train-${sizeText(EVENTS * 3)}-peak-memory`, ...peak });
}

async function besideFeast(): Promise<void> {
  const workload = await makeWorkload(join(folder, "feast-workload"), FEAST_EVENTS);
  const feast = await measureFeast(folder, workload, outOf("feast"));
  if (feast === null) {
    console.error("Feast is not measured: ONEFOLD_PYTHON names no Python with feast");
    return;
  }
  const own = await measure({ what: "latest", workload, out: outOf("latest") });
  const { wrong, leftOut } = await feastDifferences(outOf("latest"), outOf("feast"));
  if (wrong !== null) throw new Error(`the training set is not what Feast gives: ${wrong}`);
  const rate = ({ seconds }: Measured): number[] => [workload.labels / seconds];
  const reference = { name: `feast, which leaves out ${leftOut} of ${workload.labels} rows`, rounds: rate(feast) };
  say({ case: `latest-${sizeText(FEAST_EVENTS)}`, unit: "rows/s", better: "higher", rounds: rate(own), reference });
}

function say(measured: Omit<Parameters<typeof report>[0], "bench">): void {
  if (!report({ bench: "training", ...measured })) passed = false;
}

function outOf(name: string): string {
  return join(folder, `${name}.parquet`);
}

function sizeText(events: number): string {
  return events >= 1_000_000 ? `${events / 1_000_000}M` : `${events / 1000}k`;
}

async function measure(measurement: Measurement): Promise<Measured> {
  const program = join(process.cwd(), ".cache", "bench", "training", "measured.mjs");
  const child = spawn(process.execPath, ["--enable-source-maps", program, JSON.stringify(measurement)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const exitCode = await new Promise((done) => child.once("close", done));
  if (exitCode !== 0) throw new Error(`${measurement.what} ended with ${String(exitCode)}: ${output}`);
  return JSON.parse(output) as Measured;
}
