/** `npm run services`: what it prints is there, and ends with it, however it ends. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWhere } from "./describe-where.ts";
import { locate } from "./locate.ts";
import { root } from "./root.ts";

const script = join(root, ".cache", `services-${process.pid}`, "keyboard.mjs");

async function answers(url: string): Promise<boolean> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.ping()) === "PONG";
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

/** What it prints for another shell, by variable. */
async function exported(child: ChildProcessWithoutNullStreams): Promise<ReadonlyMap<string, string>> {
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  const isRunning = async (): Promise<boolean> => String(await once(child.stderr, "data")).includes("until Ctrl-C");
  const ended = once(child, "exit").then(() => expect.unreachable("it ended"));
  while (!(await Promise.race([isRunning(), ended])));
  ended.catch(() => undefined);
  const pairs = text.matchAll(/^export (\w+)=(.+)$/gm);
  return new Map([...pairs].map(([, name, value]) => [name!, value!]));
}

function folders(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("onefold-redis-"));
}

const describeRedis = await describeWhere("redis", { ours: true });

describeRedis("services at the keyboard", () => {
  beforeAll(async () => {
    const entryPoints = [join(import.meta.dirname, "keyboard.ts")];
    await build({ entryPoints, outfile: script, bundle: true, packages: "external", platform: "node", format: "esm" });
  });
  afterAll(() => rmSync(join(script, ".."), { recursive: true, force: true }));

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    it(`are where it says, and gone after ${signal}`, async () => {
      const before = folders();
      const env = { ...process.env, ONEFOLD_REDIS_URL: "" };
      const child = spawn(process.execPath, [script, "redis"], { env, cwd: root });
      const variables = await exported(child);
      const urls = [variables.get("ONEFOLD_REDIS_URL")!, ...variables.get("ONEFOLD_REDIS_CLUSTER")!.split(",")];
      expect(urls).toHaveLength(4);
      expect(await Promise.all(urls.map(answers))).toEqual([true, true, true, true]);
      const made = folders().filter((name) => !before.includes(name));
      child.kill(signal);
      await once(child, "exit");
      await expect
        .poll(() => Promise.all(urls.map(answers)), { timeout: 60_000 })
        .toEqual([false, false, false, false]);
      // Other tests make such folders meanwhile, and remove them.
      await expect.poll(() => made.filter((name) => existsSync(join(tmpdir(), name))), { timeout: 60_000 }).toEqual([]);
    });
  }
});

it("says what would bring what is nowhere", async () => {
  const { PATH } = process.env;
  process.env["PATH"] = tmpdir();
  try {
    const located = await locate("redis");
    expect(located).toEqual({ from: "nowhere", bring: expect.stringContaining("apt-get install redis-server") });
  } finally {
    process.env["PATH"] = PATH;
  }
});

it("takes what the environment names before all else, but where a test needs its own", async () => {
  const before = process.env["ONEFOLD_POSTGRES_URL"];
  process.env["ONEFOLD_POSTGRES_URL"] = "postgres://somewhere/else";
  try {
    expect(await locate("postgres")).toEqual({ from: "address", address: "postgres://somewhere/else" });
    expect((await locate("postgres", { ours: true })).from).not.toBe("address");
  } finally {
    if (before === undefined) delete process.env["ONEFOLD_POSTGRES_URL"];
    else process.env["ONEFOLD_POSTGRES_URL"] = before;
  }
});
