/**
 * A port of 127.0.0.1 for a server that is to be killed and started again on the same one.
 *
 * Below the range that systems take for outgoing connections (32768 on Linux, 49152 elsewhere): while the server is
 * down, no client of another test is given its port.
 *
 * Between the answer and the server's listening nobody holds the port. So no process of a test run is given one of
 * another's, nor the same one twice.
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Vitest numbers the processes that run at once from 1; its main process, and any other, is 0. */
const SHARES = 8;
const SHARE = Number(process.env["VITEST_POOL_ID"] ?? 0) % SHARES;
const PORTS_A_SHARE = 1500;
const LOWEST = 20_000 + SHARE * PORTS_A_SHARE;
const HIGHEST = LOWEST + PORTS_A_SHARE;

const given = new Set<number>();

/** The preferred one, where it is free. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await isFree(preferred))) return preferred;
  for (let tries = 0; tries < 1000; tries++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`found no free port between ${LOWEST} and ${HIGHEST}`);
}

export function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => freePort()));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
