/**
 * The desk of one test run: finds each component once, and starts one of each, at first asking, for all test files
 * to share. It stands in Vitest's main process (its global setup), and test files ask it over HTTP.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openKafka } from "./kafka.ts";
import { type ComponentName, type Located, locate } from "./locate.ts";
import { openPostgres } from "./postgres.ts";
import { openRedis } from "./redis.ts";

/** Where test files find it. */
export const DESK_VARIABLE = "ONEFOLD_TEST_DESK";

interface Opened {
  /** A URL, of Kafka the bootstrap address. */
  readonly address: string;
  close(): Promise<void>;
}

const OPEN: Readonly<Record<ComponentName, () => Promise<Opened>>> = {
  redis: async () => named(await openRedis()),
  valkey: async () => named(await openRedis({ component: "valkey" })),
  kafka: () => openKafka(),
  postgres: async () => named(await openPostgres()),
  prometheus: () => Promise.reject(new Error("each test starts a Prometheus of its own")),
};

const named = ({ url, close }: { readonly url: string; close(): Promise<void> }): Opened => ({ address: url, close });

/** Vitest's global setup. */
export default async function openDesk(): Promise<() => Promise<void>> {
  const located = new Map<string, Promise<Located>>();
  const opened = new Map<ComponentName, Promise<Opened>>();
  const answer = async (path: string): Promise<unknown> => {
    const [, work, name] = path.split("/") as [string, string, ComponentName];
    if (work === "open") return { address: (await onceOf(opened, name, OPEN[name])).address };
    return onceOf(located, path, () => locate(name, { ours: work === "locate-ours" }));
  };
  const server = createServer((request, response) => {
    void answer(request.url!)
      .catch((error: unknown) => ({ failed: String((error as Error).message) }))
      // A connection that is kept may be closed just as it is used again.
      .then((found) => response.writeHead(200, { connection: "close" }).end(JSON.stringify(found)));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  process.env[DESK_VARIABLE] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return async () => {
    server.closeAllConnections();
    server.close();
    for (const each of opened.values()) await each.then(({ close }) => close()).catch(() => undefined);
  };
}

function onceOf<K, T>(done: Map<K, Promise<T>>, key: K, work: () => Promise<T>): Promise<T> {
  let promise = done.get(key);
  if (promise === undefined) done.set(key, (promise = work()));
  return promise;
}
