/**
 * `npm run services [-- redis kafka postgres]`: one of each component for a person at the keyboard, until Ctrl-C. On
 * the ports of compose.yaml, where they are free.
 */
import { once } from "node:events";
import { openKafka } from "./kafka.ts";
import { type ComponentName, COMPONENTS, locate } from "./locate.ts";
import { openPostgres } from "./postgres.ts";
import { openRedis } from "./redis.ts";
import { startRedisCluster } from "./redis-cluster.ts";

interface Running {
  readonly exports: readonly string[];
  close(): Promise<void>;
}

/** Who has a Redis needs no Valkey; Prometheus scrapes what its user serves. */
type Name = Exclude<ComponentName, "valkey" | "prometheus">;

const OPEN: Readonly<Record<Name, () => Promise<Running>>> = {
  async redis() {
    const one = await openRedis({ preferredPort: 6379 });
    const exports = [`${COMPONENTS.redis.variable}=${one.url}`];
    if ((await locate("redis", { ours: true })).from === "nowhere") return { exports, close: () => one.close() };
    const cluster = await startRedisCluster();
    return {
      exports: [...exports, `ONEFOLD_REDIS_CLUSTER=${cluster.urls.join(",")}`],
      close: async () => void (await Promise.all([one.close(), cluster.close()])),
    };
  },
  async kafka() {
    const broker = await openKafka({ preferredPort: 9092 });
    return { exports: [`${COMPONENTS.kafka.variable}=${broker.address}`], close: () => broker.close() };
  },
  async postgres() {
    const server = await openPostgres({ preferredPort: 5432 });
    return { exports: [`${COMPONENTS.postgres.variable}=${server.url}`], close: () => server.close() };
  },
};

const names = Object.keys(OPEN) as Name[];
const asked = process.argv.slice(2);
const unknown = asked.find((name) => !names.includes(name as Name));
if (unknown !== undefined) {
  console.error(`There is no component "${unknown}"; there are ${names.join(", ")}.`);
  process.exit(2);
}
const running: Running[] = [];
const stop = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
// One that is not there leaves the others of use.
for (const name of names.filter((each) => asked.length === 0 || asked.includes(each))) {
  try {
    running.push(await OPEN[name]());
  } catch (error) {
    console.error(`${COMPONENTS[name].title} is not started. ${(error as Error).message}`);
  }
}
if (running.length === 0) process.exit(1);
for (const { exports } of running) for (const line of exports) console.log(`export ${line}`);
console.error("\nRunning until Ctrl-C. The lines above are for another shell.");
const alive = setInterval(() => undefined, 60_000);
await stop;
clearInterval(alive);
await Promise.all(running.map((one) => one.close()));
console.error("All stopped.");
