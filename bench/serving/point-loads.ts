/**
 * The loads of cases a and b: `redis-benchmark` and wrk asking one vector a request, of an account at random.
 */
import { LOAD_CORE, onCore } from "../cores.ts";
import { runWrkScript } from "../wrk.ts";
import { RANDOM_ACCOUNT } from "./payment-row.ts";
import { pointModel } from "./payments.ts";
import type { Ask, Asker } from "./plain-asker.ts";
import { redisLoad } from "./redis-load.ts";
import type { RunningServer } from "./server.ts";

export const CONNECTIONS = 32;

export interface PointLoad {
  readonly name: string;
  readonly pipeline: number;
  /** Asks the same for itself. */
  readonly ask: Ask;
  /** Sends about so many requests, or for about so long. */
  run(requests: number, seconds: number): Promise<{ readonly requestsPerSecond: number; readonly replies: number }>;
}

export function respLoads({ respPort: port }: RunningServer, asker: Asker, accounts: number): PointLoad[] {
  const load = (name: string, pipeline: number, command: string, ask: Ask): PointLoad => ({
    name,
    pipeline,
    ask,
    async run(requests) {
      const asked = [command, pointModel.name, RANDOM_ACCOUNT];
      const shape = { connections: CONNECTIONS, pipeline, requests, randomBelow: accounts };
      return { requestsPerSecond: await redisLoad({ port, command: asked, ...shape }), replies: requests };
    },
  });
  return [
    load("a-resp-unpipelined", 1, "FGET", asker.fget),
    load("a-resp-unpipelined-packed", 1, "FGETPACKED", asker.fgetPacked),
    load("a-resp-pipelined-32", 32, "FGET", asker.fget),
    load("a-resp-pipelined-32-packed", 32, "FGETPACKED", asker.fgetPacked),
  ];
}

export function httpLoad({ httpPort: port }: RunningServer, asker: Asker, accounts: number): PointLoad {
  const script = vectorScript(accounts);
  const under = onCore(LOAD_CORE, []);
  return {
    name: "b-http",
    pipeline: 1,
    ask: asker.http,
    async run(_requests, wantedSeconds) {
      const seconds = Math.max(1, Math.round(wantedSeconds));
      const requestsPerSecond = await runWrkScript({ port, connections: CONNECTIONS, seconds, under, script });
      return { requestsPerSecond, replies: Math.round(requestsPerSecond * seconds) };
    },
  };
}

/** For wrk: a whole request for an account at random. */
function vectorScript(accounts: number): string {
  const before = '{"entities":{"account":"a';
  const after = '"}}';
  const length = before.length + 12 + after.length;
  const line = `POST /services/${pointModel.name}/vector HTTP/1.1`;
  const head = `${line}\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
  return `
local before, after = ${JSON.stringify(head + before)}, ${JSON.stringify(after)}
math.randomseed(os.time())
request = function() return before .. string.format("%012d", math.random(0, ${accounts - 1})) .. after end
`;
}
