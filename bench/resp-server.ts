/**
 * The server of the RESP benchmark, a process of its own so that it can have a core of its own: a platform in a
 * folder of its own, with the vectors of `delays.ts`. Prints its port, and serves until its standard input ends.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../src/base/clock.ts";
import { type Micros, MICROS_PER_SECOND, parseMicros } from "../src/base/micros.ts";
import { openPlatform } from "../src/platform.ts";
import { delayDefinitions } from "./delays.ts";

const AIRPORTS = Number(process.argv[2]);
/** Part of the vectors that is looked at for drift. */
const DRIFT_RATE = process.argv[3];
const EVENTS = 100_000;
const ROWS_PER_PUSH = 5000;

const dataDir = await mkdtemp(join(tmpdir(), "onefold-bench-"));
const clock = new ReplayClock(parseMicros("2001-06-01T00:00:00Z"));
const platform = await openPlatform({
  dataDir,
  clock,
  definitions: delayDefinitions,
  ...(DRIFT_RATE === undefined ? {} : { driftSampleRate: Number(DRIFT_RATE) }),
});
await platform.apply(delayDefinitions);
let seed = 1;
const random = (below: number): number => Math.floor((below * (seed = (seed * 48271) % 2147483647)) / 2147483647);
/** As `redis-benchmark` writes a random number. */
const airport = (): string => `A${String(random(AIRPORTS)).padStart(12, "0")}`;
for (let events = 0; events < EVENTS; events += ROWS_PER_PUSH) {
  const rows = Array.from({ length: ROWS_PER_PUSH }, () => {
    clock.advanceTo((clock.now() + MICROS_PER_SECOND) as Micros);
    return { origin: airport(), destination: airport(), at: { micros: clock.now() }, delay: random(60) - 10 };
  });
  await platform.push("arrivals", rows);
}
await platform.settle();
const door = await platform.serveResp({ port: 0 });
process.stdout.write(`${door.port}\n`);
process.stdin.resume().once("end", async () => {
  await door.close();
  await platform.close();
  await rm(dataDir, { recursive: true, force: true });
});
