/**
 * Plain requests of the kind that a load sends, with their replies kept for the check: `redis-benchmark` and wrk
 * show none of theirs. They are asked on connections of their own while the load is on, one for each hundred of
 * the load's, so that replies mixed up between connections, or changed under a writer, would be found.
 */
import { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import type { Value } from "../../src/schema/value.ts";
import type { SeededRandom } from "../../src/testing/random.ts";
import type { SeenReply } from "./oracle-check.ts";
import { accountKey } from "./payment-row.ts";

/** One reply in so many is checked. */
export const CHECKED_ONE_IN = 100;
/** Asked at once. */
const GROUP = 8;

export type Ask = (key: string) => Promise<readonly Value[]>;

export interface Asker {
  readonly fget: Ask;
  readonly fgetPacked: Ask;
  readonly http: Ask;
  close(): void;
}

/** Reads a service of numbers alone. */
export function openAsker(
  { httpPort, respPort }: { readonly httpPort: number; readonly respPort: number },
  service: string,
): Asker {
  const redis = new Redis({
    port: respPort,
    host: "127.0.0.1",
    enableReadyCheck: false,
    disableClientInfo: true,
    retryStrategy: () => null,
  });
  // A command under way when the connection ends is rejected by itself.
  redis.on("error", () => {});
  const url = `http://127.0.0.1:${httpPort}/services/${service}/vector`;
  return {
    async fget(key) {
      const reply = (await redis.call("FGET", service, key)) as readonly (string | null)[];
      return reply.map((text) => (text === null ? null : Number(text)));
    },
    async fgetPacked(key) {
      return unpacked((await redis.callBuffer("FGETPACKED", service, key)) as Buffer);
    },
    async http(key) {
      const body = JSON.stringify({ entities: { account: key } });
      const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      const { features } = (await response.json()) as { readonly features: Readonly<Record<string, Value>> };
      return Object.values(features);
    },
    close: () => redis.disconnect(),
  };
}

/** docs/resp.md: little-endian float64s, then a bit for each that is null. */
function unpacked(bytes: Buffer): Value[] {
  const count = Math.floor((bytes.length * 8) / 65);
  return Array.from({ length: count }, (_, i) => {
    const isNull = ((bytes[count * 8 + (i >> 3)]! >> (i & 7)) & 1) === 1;
    return isNull ? null : bytes.readDoubleLE(i * 8);
  });
}

export interface AskedBeside {
  readonly service: string;
  readonly accounts: number;
  readonly random: SeededRandom;
  readonly ask: Ask;
  /** About a hundredth of the load's rate. */
  readonly checksPerSecond: number;
  /** Resolves to the number of the load's replies. */
  readonly load: Promise<number>;
}

/** The replies, one for each hundred of the load's or more. */
export async function askBeside(beside: AskedBeside): Promise<SeenReply[]> {
  const { service, accounts, random, ask, checksPerSecond } = beside;
  let wanted = Number.POSITIVE_INFINITY;
  const load = beside.load.then((replies) => (wanted = Math.ceil(replies / CHECKED_ONE_IN)));
  // Awaited below; until then its failure is nobody's.
  load.catch(() => (wanted = 0));
  const seen: SeenReply[] = [];
  while (seen.length < wanted) {
    await Promise.all(
      Array.from({ length: GROUP }, async () => {
        const key = accountKey(random.integer(0, accounts - 1));
        const askedAt = systemClock.now();
        const values = await ask(key);
        seen.push({ key, service, values, askedAt, heardAt: systemClock.now() });
      }),
    );
    if (wanted === Number.POSITIVE_INFINITY) await sleep((GROUP / checksPerSecond) * 1000);
  }
  await load;
  return seen;
}
