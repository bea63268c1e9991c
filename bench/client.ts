/**
 * `onefold/client` over RESP beside HTTP, in the same run: vectors of 20 features a second that one client gets,
 * for 64 callers that each wait for their answer before they ask again, and for lists of 100. The server has a
 * thread of its own; what is measured is mostly the client's own work.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createClient } from "../src/client/index.ts";
import { report } from "./report.ts";

const ROUNDS = 5;
const SECONDS = 2;
const WARM_UP_SECONDS = 1;
const CALLERS = 64;
const LIST_LENGTH = 100;
const SERVICE = "delay_model";
/** As `serving-ports.ts` has them. */
const AIRPORTS = 200;
const keys = Array.from({ length: AIRPORTS }, (_, i) => ({
  origin: `A${i}`,
  destination: `A${(i * 7 + 1) % AIRPORTS}`,
}));

interface Case {
  readonly name: string;
  /** 1: each call goes alone. */
  readonly batchMax: number;
  readonly callers: number;
  /** Vectors that a caller asks for at a time. */
  readonly length: number;
  /** On the ratio to HTTP. */
  readonly goal: number;
}

const cases: readonly Case[] = [
  { name: "each-call-alone", batchMax: 1, callers: CALLERS, length: 1, goal: 2 },
  { name: "calls-coalesced", batchMax: 500, callers: CALLERS, length: 1, goal: 1.2 },
  { name: "lists-of-100", batchMax: 500, callers: 2, length: LIST_LENGTH, goal: 0.9 },
];

const server = new Worker(new URL("./client-server.mjs", import.meta.url));
const [urls] = (await once(server, "message")) as [{ http: string; resp: string }];

async function rateOf(url: string, { batchMax, callers, length }: Case, seconds: number): Promise<number> {
  const client = createClient({ url, batchMax, timeoutMs: 10_000 });
  let vectors = 0;
  const startMs = performance.now();
  const call = async (caller: number): Promise<void> => {
    for (let i = caller; performance.now() - startMs < seconds * 1000; i += length) {
      const asked = Array.from({ length }, (_, j) => keys[(i + j) % keys.length]!);
      await client.vectors(SERVICE, asked);
      vectors += length;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  const rate = (vectors / (performance.now() - startMs)) * 1000;
  await client.close();
  return rate;
}

let isPassed = true;
for (const each of cases) {
  const rates = { http: [] as number[], resp: [] as number[] };
  for (const url of Object.values(urls)) await rateOf(url, each, WARM_UP_SECONDS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of ["http", "resp"] as const) rates[name].push(await rateOf(urls[name], each, SECONDS));
  }
  const isGood = report({
    bench: "client",
    case: each.name,
    unit: "vectors/s",
    better: "higher",
    rounds: rates.resp,
    reference: { name: "http", rounds: rates.http },
    goal: each.goal,
  });
  isPassed &&= isGood;
}
await server.terminate();
process.exitCode = isPassed ? 0 : 1;
