/**
 * What a world's states take on Redis: published by the platform's own way to a server of its own, and the memory that
 * this server says it uses, less what it used when it was empty. So keys, tables and the allocator's rounding are in it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { formatViewName } from "../../src/define/definition.ts";
import { openPlatform } from "../../src/platform.ts";
import { startRedisServer } from "../reference-servers.ts";
import type { World } from "./world.ts";

export async function redisBytes(world: World): Promise<number> {
  const server = await startRedisServer();
  const client = new Redis(server.port, "127.0.0.1");
  try {
    const empty = await usedMemory(client);
    const startMs = performance.now();
    const platform = await openPlatform({
      dataDir: world.dataDir,
      publish: `redis://127.0.0.1:${server.port}`,
      onPublishError: (error) => console.error(error),
    });
    try {
      const places = world.views.map((view) => `view/${formatViewName(view)}`);
      while ((await client.hmget("of:metas", ...places)).includes(null)) await sleep(20);
    } finally {
      await platform.close();
    }
    const states = world.stored.reduce((sum, view) => sum + view.states, 0);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    console.error(`${world.name}: ${states} states published in ${seconds} s`);
    if ((await client.dbsize()) !== states + 1) throw new Error(`${await client.dbsize()} keys, not ${states} and one`);
    return (await usedMemory(client)) - empty;
  } finally {
    client.disconnect();
    server.close();
  }
}

async function usedMemory(client: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info("memory"))![1]);
}
