/**
 * Plain requests of the kind that a load sends, with their replies kept for the check: `redis-benchmark` and wrk
 * show none of theirs. They are asked on connections of their own while the load is on, one for each hundred of
 * the load's, so that replies mixed up between connections, or changed under a writer, would be found.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { RedisError, type RedisReply, ReplyReader } from "../../src/online-store/redis/reply-reader.ts";
import type { Value } from "../../src/schema/value.ts";
import type { SeededRandom } from "../../src/testing/random.ts";
import { LoadConnection } from "./load-connection.ts";
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

/**
 * Reads a service of numbers alone. It shares its core with the load, which waits while it asks and reads: by a client that does
 * more than that it was a quarter of the core, and the server's rate was so much less.
 */
export function openAsker(
  { httpPort, respPort }: { readonly httpPort: number; readonly respPort: number },
  service: string,
): Asker {
  const resp = new RespAsker(respPort);
  const http = new HttpAsker(httpPort);
  const path = `/services/${service}/vector`;
  return {
    async fget(key) {
      const reply = (await resp.ask(["FGET", service, key])) as readonly (Buffer | null)[];
      return reply.map((text) => (text === null ? null : Number(text.toString("latin1"))));
    },
    async fgetPacked(key) {
      return unpacked((await resp.ask(["FGETPACKED", service, key])) as Buffer);
    },
    async http(key) {
      const body = await http.ask(path, `{"entities":{"account":"${key}"}}`);
      const { features } = JSON.parse(body.toString()) as { readonly features: Readonly<Record<string, Value>> };
      return Object.values(features);
    },
    close() {
      resp.close();
      http.close();
    },
  };
}

interface Waiter<T> {
  resolve(answer: T): void;
  reject(error: Error): void;
}

/** One connection, on which answers come in the order of what was asked. */
class RespAsker {
  readonly #socket: Socket;
  readonly #waiting: Waiter<RedisReply>[] = [];

  constructor(port: number) {
    const reader = new ReplyReader({
      onReply: (reply) => {
        const { resolve, reject } = this.#waiting.shift()!;
        if (reply instanceof RedisError) reject(new Error(reply.message));
        else resolve(reply);
      },
      onPush: () => undefined,
    });
    this.#socket = connect({ port, host: "127.0.0.1" }).setNoDelay(true);
    this.#socket.on("data", (bytes) => reader.take(bytes));
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => this.#fail());
  }

  /** What is asked in one turn goes out as one. */
  ask(command: readonly string[]): Promise<RedisReply> {
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      setImmediate(() => this.#socket.uncork());
    }
    this.#socket.write(`*${command.length}\r\n${command.map((part) => `$${part.length}\r\n${part}\r\n`).join("")}`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error("the server closed the connection"));
  }
}

/** As many connections as are asked at once. */
class HttpAsker {
  readonly #port: number;
  readonly #free: LoadConnection<Waiter<Buffer>>[] = [];
  readonly #waiting = new Set<Waiter<Buffer>>();

  constructor(port: number) {
    this.#port = port;
  }

  async ask(path: string, body: string): Promise<Buffer> {
    const connection = this.#free.pop() ?? (await this.#open());
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiting.add(waiter);
      connection.post(path, body, waiter, true);
    });
  }

  close(): void {
    for (const connection of this.#free) connection.close();
  }

  #open(): Promise<LoadConnection<Waiter<Buffer>>> {
    return LoadConnection.open<Waiter<Buffer>>(this.#port, {
      answered: (connection, waiter, body) => {
        this.#waiting.delete(waiter);
        this.#free.push(connection);
        waiter.resolve(body);
      },
      // It is not known whose it was, and nothing is measured any more where one has failed.
      failed: (error) => {
        for (const { reject } of this.#waiting) reject(error);
      },
      closed: (connection) => void this.#free.splice(this.#free.indexOf(connection), 1),
    });
  }
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
