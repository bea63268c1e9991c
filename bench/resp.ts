/**
 * The RESP door under `redis-benchmark`, beside a real `redis-server` that holds 200-byte values, in the same
 * run: 32 connections, one request at a time and 32 in a pipeline, text and packed. Vectors of 20 features from
 * three views, each for other airports. The servers take turns on one core, the load has another.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { LOAD_CORE, onCore, SERVER_CORE } from "./cores.ts";
import { report } from "./report.ts";

const run = promisify(execFile);

const ROUNDS = 5;
const CONNECTIONS = 32;
/** Few enough that nearly every route has events, ten of them on average. */
const AIRPORTS = 100;
const BLOB_BYTES = 200;

interface Case {
  readonly name: string;
  /** Requests that a connection sends before it waits for their replies. */
  readonly pipeline: number;
  readonly ask: readonly string[];
  /** What is asked of Redis beside it. */
  readonly reference: readonly string[];
  /** On the ratio. */
  readonly goal: number;
}

const random = "A__rand_int__";
const keys = [random, random, `${random}|${random}`];

for (const tool of ["redis-server", "redis-benchmark"]) {
  const isThere = await run(tool, ["--version"]).then(
    () => true,
    () => false,
  );
  if (isThere) continue;
  console.error(`${tool} is not installed: install redis-server and redis-tools`);
  process.exit(2);
}
const servers: ChildProcess[] = [];
try {
  process.exitCode = (await measure()) ? 0 : 1;
} finally {
  for (const server of servers) {
    server.stdin!.end();
    if (server.spawnargs.includes("redis-server")) server.kill();
  }
}

async function measure(): Promise<boolean> {
  const redisPort = await startRedis();
  const doorPort = await startDoor();
  const get = { port: redisPort, command: ["GET", `k${random}`] };
  const cases: Case[] = [
    // The door without a vector: what the protocol itself costs.
    { name: "ping", pipeline: 1, ask: ["PING"], reference: ["PING"], goal: 0.8 },
    { name: "ping-pipelined-32", pipeline: 32, ask: ["PING"], reference: ["PING"], goal: 0.5 },
    { name: "unpipelined", pipeline: 1, ask: ["FGET", "delay_model", ...keys], reference: get.command, goal: 0.6 },
    {
      name: "unpipelined-packed",
      pipeline: 1,
      ask: ["FGETPACKED", "delay_model", ...keys],
      reference: get.command,
      goal: 0.6,
    },
    { name: "pipelined-32", pipeline: 32, ask: ["FGET", "delay_model", ...keys], reference: get.command, goal: 0.1 },
    {
      name: "pipelined-32-packed",
      pipeline: 32,
      ask: ["FGETPACKED", "delay_model", ...keys],
      reference: get.command,
      goal: 0.35,
    },
  ];
  const set = { port: redisPort, command: ["SET", `k${random}`, "x".repeat(BLOB_BYTES)] };
  await load(set, 1, 20_000);
  await load({ port: doorPort, command: cases.at(-1)!.ask }, 32, 50_000);

  const rounds = cases.map(() => ({ ours: [] as number[], redis: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { pipeline, ask, reference }] of cases.entries()) {
      const requests = pipeline === 1 ? 20_000 : 100_000;
      rounds[i]!.redis.push(await load({ port: redisPort, command: reference }, pipeline, requests));
      rounds[i]!.ours.push(await load({ port: doorPort, command: ask }, pipeline, requests));
    }
  }
  const passed = cases.map(({ name, reference, goal }, i) =>
    report({
      bench: "resp",
      case: name,
      unit: "req/s",
      better: "higher",
      rounds: rounds[i]!.ours,
      reference: { name: `redis-${reference[0]!.toLowerCase()}`, rounds: rounds[i]!.redis },
      goal,
    }),
  );
  return passed.every(Boolean);
}

/** Requests a second. */
async function load(
  { port, command }: { readonly port: number; readonly command: readonly string[] },
  pipeline: number,
  requests: number,
): Promise<number> {
  const options = `-p ${port} -c ${CONNECTIONS} -n ${requests} -P ${pipeline} -r ${AIRPORTS} -q`.split(" ");
  const [program, ...rest] = onCore(LOAD_CORE, ["redis-benchmark", ...options, ...command]);
  const { stdout, stderr } = await run(program!, rest);
  const rate = /: ([\d.]+) requests per second/.exec(stdout)?.[1];
  if (rate === undefined || stderr !== "") throw new Error(`redis-benchmark: ${stdout}${stderr}`);
  return Number(rate);
}

function start(command: readonly string[]): ChildProcess {
  const [program, ...rest] = onCore(SERVER_CORE, command);
  const server = spawn(program!, rest, { stdio: ["pipe", "pipe", "inherit"] });
  servers.push(server);
  return server;
}

async function startRedis(): Promise<number> {
  const port = await freePort();
  const server = start(["redis-server", "--port", String(port), "--save", "", "--appendonly", "no"]);
  for await (const chunk of server.stdout!) if (String(chunk).includes("Ready to accept")) break;
  server.stdout!.resume();
  return port;
}

async function startDoor(): Promise<number> {
  const script = new URL("./resp-server.mjs", import.meta.url).pathname;
  const server = start([process.execPath, script, String(AIRPORTS)]);
  const [port] = (await once(server.stdout!, "data")) as [Buffer];
  return Number(port);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
