/**
 * What looking at served vectors for drift costs: two servers of the same vectors of 20 features, one that looks at its
 * default part of them and one that looks at none, under `redis-benchmark` in turn. Cases of the Redis door, since a
 * vector costs least there, and what is added weighs most.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { DRIFT_SAMPLE_RATE } from "../src/platform/monitoring/drift-recorder.ts";
import { LOAD_CORE, onCore, SERVER_CORE } from "./cores.ts";
import { report } from "./report.ts";
import { cpuMicros } from "./serving/cpu-time.ts";

const run = promisify(execFile);

const ROUNDS = process.argv.includes("--quick") ? 5 : 25;
const CONNECTIONS = 32;
const AIRPORTS = 100;
/** The part of the throughput that must be left. */
const GOAL = 0.95;

const random = "A__rand_int__";
const KEYS = [random, random, `${random}|${random}`];
const CASES = [
  { name: "pipelined-32-packed", pipeline: 32, requests: 25_000, ask: ["FGETPACKED", "delay_model", ...KEYS] },
  { name: "pipelined-32", pipeline: 32, requests: 25_000, ask: ["FGET", "delay_model", ...KEYS] },
  { name: "unpipelined", pipeline: 1, requests: 8_000, ask: ["FGET", "delay_model", ...KEYS] },
] as const;

interface Server {
  readonly process: ChildProcess;
  readonly port: number;
}

interface Measured {
  readonly rate: number;
  /** Processor time a request; NaN where the system does not say. */
  readonly micros: number;
}

if (
  !(await run("redis-benchmark", ["--version"]).then(
    () => true,
    () => false,
  ))
) {
  console.error("redis-benchmark is not installed: install redis-tools");
  process.exit(2);
}
const servers: Server[] = [];
try {
  for (const rate of [0, DRIFT_SAMPLE_RATE]) servers.push(await start(rate));
  process.exitCode = (await measure(servers[0]!, servers[1]!)) ? 0 : 1;
} finally {
  for (const server of servers) server.process.stdin!.end();
}

async function measure(without: Server, looking: Server): Promise<boolean> {
  let passed = true;
  for (const one of CASES) {
    const rounds: { readonly without: Measured; readonly looking: Measured }[] = [];
    for (const server of servers) await load(server, one);
    for (let round = 0; round < ROUNDS; round++) {
      console.error(`${one.name}: round ${round + 1} of ${ROUNDS}`);
      // Neither is always the one that comes first.
      const first = round % 2 === 0 ? [without, looking] : [looking, without];
      const measured = new Map<Server, Measured>();
      for (const server of first) measured.set(server, await load(server, one));
      rounds.push({ without: measured.get(without)!, looking: measured.get(looking)! });
    }
    const shared = { bench: "drift", better: "higher", goal: GOAL } as const;
    const rates = rounds.map((round) => round.looking.rate / round.without.rate);
    passed = report({ ...shared, case: one.name, unit: "of the requests/s without", rounds: rates }) && passed;
    const perSecond = rounds.map((round) => round.without.micros / round.looking.micros);
    if (Number.isNaN(perSecond[0]!)) continue;
    const cpu = { case: `${one.name}-cpu`, unit: "of the requests a second of processor time without" };
    passed = report({ ...shared, ...cpu, rounds: perSecond }) && passed;
  }
  return passed;
}

async function load(
  { process: { pid }, port }: Server,
  {
    pipeline,
    requests,
    ask,
  }: { readonly pipeline: number; readonly requests: number; readonly ask: readonly string[] },
): Promise<Measured> {
  const options = `-p ${port} -c ${CONNECTIONS} -n ${requests} -P ${pipeline} -r ${AIRPORTS} -q`.split(" ");
  const [program, ...rest] = onCore(LOAD_CORE, ["redis-benchmark", ...options, ...ask]);
  const before = cpuMicros(pid!);
  const { stdout, stderr } = await run(program!, rest);
  const after = cpuMicros(pid!);
  const rate = /: ([\d.]+) requests per second/.exec(stdout)?.[1];
  if (rate === undefined || stderr !== "") throw new Error(`redis-benchmark: ${stdout}${stderr}`);
  return { rate: Number(rate), micros: before === null || after === null ? Number.NaN : (after - before) / requests };
}

async function start(rate: number): Promise<Server> {
  const script = new URL("./resp-server.mjs", import.meta.url).pathname;
  const [program, ...rest] = onCore(SERVER_CORE, [process.execPath, script, String(AIRPORTS), String(rate)]);
  const server = spawn(program!, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const [port] = (await once(server.stdout!, "data")) as [Buffer];
  return { process: server, port: Number(port) };
}
