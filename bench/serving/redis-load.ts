/**
 * `redis-benchmark` on the load's core, and a `redis-server` on the server's to measure beside.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";
import { LOAD_CORE, onCore, SERVER_CORE } from "../cores.ts";

const run = promisify(execFile);

export interface RedisLoad {
  readonly port: number;
  readonly command: readonly string[];
  readonly connections: number;
  /** Requests that a connection sends before it waits for their replies. */
  readonly pipeline: number;
  readonly requests: number;
  /** `__rand_int__` in the command is a number below this. */
  readonly randomBelow: number;
}

/** Requests a second. Rejects where a reply is an error: redis-benchmark ends with the first. */
export async function redisLoad(load: RedisLoad): Promise<number> {
  const { port, command, connections, pipeline, requests, randomBelow } = load;
  const options = `-p ${port} -c ${connections} -n ${requests} -P ${pipeline} -r ${randomBelow} -q`.split(" ");
  const [program, ...args] = onCore(LOAD_CORE, ["redis-benchmark", ...options, ...command]);
  const { stdout, stderr } = await run(program!, args);
  const rate = /: ([\d.]+) requests per second/.exec(stdout)?.[1];
  if (rate === undefined || stderr !== "") throw new Error(`redis-benchmark: ${stdout}${stderr}`);
  return Number(rate);
}

export interface RedisWithBlobs {
  readonly pid: number;
  readonly port: number;
  /** What `redis-benchmark` is to send: one of the blobs at random. */
  readonly get: readonly string[];
  close(): Promise<void>;
}

/** Without persistence, on that core. */
export async function startRedis(core: number): Promise<Omit<RedisWithBlobs, "get">> {
  const port = await freePort();
  const command = ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no"];
  const [program, ...args] = onCore(core, command);
  const server = spawn(program!, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(server, "close");
  process.once("exit", () => server.kill("SIGKILL"));
  await listening(server);
  return {
    pid: server.pid!,
    port,
    async close() {
      server.kill();
      await ended;
    },
  };
}

/** On the server's core, holding `blobs` values of so many bytes. */
export async function openRedisWithBlobs(blobs: number, bytes: number): Promise<RedisWithBlobs> {
  const server = await startRedis(SERVER_CORE);
  await fill(server.port, blobs, "x".repeat(bytes));
  return { ...server, get: ["GET", "k__rand_int__"] };
}

async function listening(server: ChildProcess): Promise<void> {
  for await (const chunk of server.stdout!) {
    if (!String(chunk).includes("Ready to accept")) continue;
    server.stdout!.resume();
    return;
  }
  throw new Error("redis-server ended before it listened");
}

/** One pipeline of SETs, and its answers counted. */
async function fill(port: number, blobs: number, blob: string): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const ok = "+OK\r\n";
  let heard = 0;
  const done = new Promise<void>((resolve, reject) => {
    socket.on("error", reject).on("data", (chunk) => {
      heard += chunk.length;
      if (heard >= blobs * ok.length) resolve();
    });
  });
  for (let i = 0; i < blobs; i++) {
    const key = `k${String(i).padStart(12, "0")}`;
    socket.write(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${blob.length}\r\n${blob}\r\n`);
  }
  await done;
  socket.end();
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
