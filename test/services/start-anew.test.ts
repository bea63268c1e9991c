/** A start that hangs, or meets a taken port, is seen, told and done again; one that is wrong fails at once. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { describeWhere } from "./describe-where.ts";
import { freePort, freePorts } from "./free-port.ts";
import { invoke, startable, startInNewFolder } from "./program.ts";
import { ServerProcess } from "./server-process.ts";
import { NotStarted, startAnew } from "./start-anew.ts";

/** Long enough for a shell to come up on a busy machine. */
const SILENT_MS = 3000;

let folder: string;
let told: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onefold-start-anew-"));
  told = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    told += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

/** A program that writes its start down, and hangs at the starts that are named; asked by a signal, it says what it does. */
async function program(hangsAt: readonly number[]): Promise<string> {
  const file = join(folder, "program.sh");
  await writeFile(
    file,
    `echo "start with port $1" >> "${folder}/starts"
trap 'echo "I wait for nothing"' QUIT
start=$(grep -c . "${folder}/starts")
echo "start $start"
case " ${hangsAt.join(" ")} " in *" $start "*) ;; *) echo ready ;; esac
while :; do sleep 0.1; done
`,
  );
  return file;
}

const starts = async (): Promise<string[]> => (await readFile(join(folder, "starts"), "utf8")).trimEnd().split("\n");

/** As Redis and Kafka are started: a folder and a port of its own for each attempt. */
async function start(script: string): Promise<{ readonly server: ServerProcess; readonly ownFolder: string }> {
  return startInNewFolder("hanging", async (ownFolder) => {
    const server = await ServerProcess.start({
      name: "a program",
      program: "sh",
      args: [script, String(await freePort())],
      folder: ownFolder,
      silentMs: SILENT_MS,
      dumpSignal: "SIGQUIT",
      isReady: (output) => output.includes("ready"),
    });
    return { server, ownFolder };
  });
}

describe("a server that hangs at its start", () => {
  it("is asked what it does, killed, and started anew on another port in another folder", async () => {
    const { server, ownFolder } = await start(await program([1]));
    try {
      const [first, second, ...more] = await starts();
      expect(more).toEqual([]);
      expect(second).not.toBe(first);
      expect(existsSync(ownFolder)).toBe(true);
      expect(told).toContain("ATTEMPT 1 OF 3 FAILED: a program is not ready after");
      expect(told).toMatch(/its output:\nstart 1\nI wait for nothing/);
      expect(told).toMatch(/of memory free; \d+ MB free in /);
      if (process.platform === "linux") expect(told).toMatch(/threads of process \d+:\n {2}sh: \w, \d+\.\d\d s/);
      expect(told).toContain("It is started anew.");
    } finally {
      await server.close();
    }
    expect(existsSync(ownFolder)).toBe(false);
  });

  it("is given up after three times, with what was seen of the last", async () => {
    await expect(start(await program([1, 2, 3]))).rejects.toThrow(/a program is not ready[^]*start 3\nI wait/);
    expect(await starts()).toHaveLength(3);
    expect(told).toContain("ATTEMPT 3 OF 3 FAILED");
  });

  it("is started again on the same port, where it was up before", async () => {
    const { server } = await start(await program([2]));
    try {
      await server.restart();
      const [first, ...others] = await starts();
      expect(others).toEqual([first, first]);
      expect(await server.output()).toBe("start 3\nready\n");
    } finally {
      await server.close();
    }
  });
});

describe("a server that ends at its start", () => {
  it("fails at once, as it would again", async () => {
    const script = join(folder, "wrong.sh");
    await writeFile(script, `echo start >> "${folder}/starts"\necho "no such setting: colour"\nexit 3\n`);
    await expect(start(script)).rejects.toThrow("a program ended before it was ready (3):\nno such setting: colour");
    expect(await starts()).toHaveLength(1);
    expect(told).toBe("");
  });

  it("is started anew where it was killed", async () => {
    const script = join(folder, "killed.sh");
    const body = `[ -e "${folder}/starts" ] && echo ready && sleep 100\necho start >> "${folder}/starts"\nkill -9 $$\n`;
    await writeFile(script, body);
    const { server } = await start(script);
    await server.close();
    expect(told).toContain("a program ended before it was ready (SIGKILL)");
  });
});

const describeRedis = await describeWhere("redis", { ours: true });

describeRedis("a server whose port another has taken", () => {
  it("is started anew on another", async () => {
    const other = createServer();
    await once(other.listen(0, "127.0.0.1"), "listening");
    const taken = (other.address() as { readonly port: number }).port;
    const located = await startable("redis");
    const redis = located.from === "installed" ? located.path : "valkey-server";
    try {
      const ports = [taken, await freePort()];
      const server = await startInNewFolder("redis", async (own) => {
        const args = ["--bind", "127.0.0.1", "--port", String(ports.shift()), "--dir", own];
        return ServerProcess.start({
          name: "redis",
          ...invoke(located, { program: redis, args, folder: own }),
          folder: own,
          isReady: (output) => output.includes("Ready to accept connections"),
        });
      });
      await server.close();
      expect(told).toMatch(/redis ended before it was ready \(1\):\n[^]*in use/i);
    } finally {
      other.close();
    }
  });
});

describe("ports", () => {
  it("are never given twice", async () => {
    const ports = [...(await freePorts(100)), ...(await freePorts(100))];
    expect(new Set(ports).size).toBe(200);
  });
});

it("tells of each attempt, and calls no more often than it may", async () => {
  const attempts: number[] = [];
  const failing = startAnew(async (attempt) => {
    attempts.push(attempt);
    throw new NotStarted(`reason ${attempt}`);
  });
  await expect(failing).rejects.toThrow("reason 3");
  expect(attempts).toEqual([1, 2, 3]);
  expect(await startAnew(async (attempt) => attempt)).toBe(1);
});
