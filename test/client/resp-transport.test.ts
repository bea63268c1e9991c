/**
 * The client over RESP: passwords, servers that are none of Onefold's, what goes over the wire, and the package
 * that it needs.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, promisify } from "node:util";
import { build } from "esbuild";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createClient, type OnefoldClient } from "../../src/client/index.ts";
import { useRespDoor } from "../serve/resp/resp-in-test.ts";

const PASSWORD = "p@ss:w/rd%";
const resp = useRespDoor({ password: PASSWORD });
const JFK = { airport: "JFK", route: ["JFK", "LAX"] };

/** A user of the package must not be told anything on the console. */
const said = [vi.spyOn(console, "warn"), vi.spyOn(console, "error")];
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  const words = said.flatMap((spy) => spy.mock.calls);
  if (words.length > 0) throw new Error(`said on the console: ${JSON.stringify(words)}`);
});

function open(url: string, options: Partial<Parameters<typeof createClient>[0]> = {}): OnefoldClient {
  const client = createClient({ url, timeoutMs: 5000, random: () => 0, ...options });
  closers.push(() => client.close());
  return client;
}

const withPassword = (password: string): string =>
  `redis://:${encodeURIComponent(password)}@127.0.0.1:${resp.door.port}`;

/** A server that does with each connection what it is told to. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const HELLO = "%1\r\n$5\r\nproto\r\n:3\r\n";

describe("a password", () => {
  it("is given, with every character", async () => {
    expect((await open(withPassword(PASSWORD)).vector("delay_model", JFK)).features).toHaveProperty("arrivals_1h");
    const named = withPassword(PASSWORD).replace("//:", "//default:");
    expect((await open(named).vector("delay_model", JFK)).features).toHaveProperty("arrivals_1h");
  });

  it.each([
    ["that is wrong", "redis://:guess@127.0.0.1:PORT"],
    ["that is missing", "redis://127.0.0.1:PORT"],
  ])("%s is told at once, and shown nowhere", async (_what, url) => {
    const client = open(url.replace("PORT", String(resp.door.port)));
    for (let i = 0; i < 2; i++) {
      const error: unknown = await client.vector("delay_model", JFK).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "ACCESS_DENIED", hint: expect.stringContaining("redis://:PASSWORD@") });
      expect(inspect(error, { depth: null })).not.toContain("guess");
    }
    await expect(client.push("arrivals", [{}])).rejects.toMatchObject({ code: "ACCESS_DENIED" });
    // Each was tried once: asking again does not help.
    expect(resp.door.commandCounts.get("hello")).toBe(3);
  });
});

describe("calls of one turn", () => {
  it("are one command at the server, by service and by what they want", async () => {
    const client = open(withPassword(PASSWORD), { batchMax: 30 });
    await Promise.all([
      ...Array.from({ length: 70 }, () => client.vector("delay_model", JFK)),
      client.vector("delay_model", JFK, { token: true }),
    ]);
    expect(resp.door.commandCounts.get("fvectors")).toBe(4);
    expect(resp.door.commandCounts.get("hello")).toBe(1);
  });

  it("do not wait for each other's answers", async () => {
    // Answers nothing before it has seen all three.
    let text = "";
    const port = await listen((socket) =>
      socket.on("data", (chunk) => {
        if (text === "") socket.write(HELLO);
        text += chunk.toString("latin1");
        if (text.split("FVECTORS").length - 1 < 3) return;
        socket.write('*1\r\n$29\r\n{"features":{},"metadata":{}}\r\n'.repeat(3));
      }),
    );
    const client = open(`redis://127.0.0.1:${port}`, { batchMax: 1 });
    expect(await client.vectors("s", [{}, {}, {}])).toHaveLength(3);
  });

  it("are not held up by a push on its way", async () => {
    let release = (): void => {};
    resp.world.pushInstead = async () => {
      await new Promise<void>((resolve) => (release = resolve));
      return { accepted: 1, duplicates: 0, rejected: 0, outcomes: [{ status: "accepted" }] };
    };
    const client = open(withPassword(PASSWORD));
    const pushed = client.push("arrivals", [{}]);
    expect((await client.vector("delay_model", JFK)).features).toHaveProperty("arrivals_1h");
    release();
    expect(await pushed).toMatchObject({ accepted: 1 });
  });
});

describe("what waits for a server that answers nothing", () => {
  it("is bounded", async () => {
    const port = await listen((socket) => socket.once("data", () => socket.write(HELLO)));
    const client = open(`redis://127.0.0.1:${port}`, { batchMax: 1, retries: 0, timeoutMs: 300 });
    const asked = Array.from({ length: 10_050 }, () =>
      client.vector("s", {}).catch(({ code }: { code: string }) => code),
    );
    const codes = await Promise.all(asked);
    expect(codes.filter((code) => code === "BACKPRESSURE")).toHaveLength(50);
    expect(codes.filter((code) => code === "CALL_TIMED_OUT")).toHaveLength(10_000);
  });
});

describe("a server that is none of ours", () => {
  it.each([
    [
      "-ERR unknown command 'FVECTORS', with args beginning with: 's' \r\n",
      "REQUEST_INVALID",
      /does not answer as Onefold does: ERR unknown command/,
    ],
    ["-NOAUTH Authentication required.\r\n", "ACCESS_DENIED", /refused: NOAUTH/],
    ["-ODD things happen\r\n", "REQUEST_INVALID", /does not answer as Onefold does: ODD things happen/],
    [
      "*1\r\n$2\r\n[]\r\n",
      "REQUEST_INVALID",
      /redis:\/\/127.0.0.1:\d+ does not answer as Onefold does: no answer to FVECTORS/,
    ],
    [
      "$2\r\nOK\r\n",
      "REQUEST_INVALID",
      /redis:\/\/127.0.0.1:\d+ does not answer as Onefold does: no answer to FVECTORS/,
    ],
    ["*0\r\n", "REQUEST_INVALID", /redis:\/\/127.0.0.1:\d+ does not answer as Onefold does: no answer to FVECTORS/],
    ["?nonsense\r\n", "SERVER_UNREACHABLE", /./],
  ])("that replies %j is an error of a known code", async (reply, code, message) => {
    const port = await listen((socket) => {
      socket.on("data", (chunk) => socket.write(chunk.includes("FVECTORS") ? reply : HELLO));
    });
    const client = open(`redis://127.0.0.1:${port}`, { retries: 0 });
    await expect(client.vector("s", {})).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("that takes no more connections is one that may be tried again", async () => {
    let connections = 0;
    const port = await listen((socket) => {
      connections++;
      socket.end("-ERR max number of clients reached\r\n");
    });
    await expect(open(`redis://127.0.0.1:${port}`, { retries: 1 }).vector("s", {})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
    });
    expect(connections).toBe(2);
  });
});

describe("an address", () => {
  it("with rediss:// is spoken to in TLS", async () => {
    let hear: (bytes: Buffer) => void;
    const heard = new Promise<Buffer>((resolve) => (hear = resolve));
    const port = await listen((socket) => socket.once("data", (bytes) => hear(bytes)));
    const asked = open(`rediss://127.0.0.1:${port}`, { timeoutMs: 500 }).vector("s", {});
    // A TLS record of the handshake, version 3.x
    expect([...(await heard).subarray(0, 2)]).toEqual([0x16, 0x03]);
    await expect(asked).rejects.toMatchObject({ code: "CALL_TIMED_OUT" });
  });

  it.each([
    "redis://",
    "redis://:6380",
    "redis://:a/b@host",
    "redis://:100%@host",
    "redis://host/1",
    "redis://host:6380/db",
  ])("such as %s is refused, and not shown", (url) => {
    expect(() => createClient({ url })).toThrow(
      expect.objectContaining({ code: "REQUEST_INVALID", where: "url", hint: expect.stringContaining("redis://[") }),
    );
  });

  it("takes no headers of HTTP", () => {
    expect(() => createClient({ url: "redis://host", headers: { authorization: "x" } })).toThrow(/headers are HTTP's/);
  });
});

describe("without the package", () => {
  it("http:// works, and redis:// says what to install", async () => {
    const folder = await mkdtemp(join(tmpdir(), "onefold-client-alone-"));
    closers.push(() => rm(folder, { recursive: true }));
    await build({
      entryPoints: [fileURLToPath(new URL("../../src/client/index.ts", import.meta.url))],
      outfile: join(folder, "client.mjs"),
      bundle: true,
      format: "esm",
      platform: "node",
      packages: "external",
    });
    await writeFile(
      join(folder, "program.mjs"),
      `import { createClient } from "./client.mjs";
      for (const url of ["http://127.0.0.1:1", "redis://127.0.0.1:1"]) {
        const client = createClient({ url, retries: 0 });
        await client.vector("s", {}).catch(({ code, hint }) => console.log(code, hint));
      }`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "program.mjs")]);
    expect(stdout.trim().split("\n")).toEqual([
      expect.stringMatching(/^SERVER_UNREACHABLE /),
      expect.stringMatching(/^REQUEST_INVALID install it: npm install ioredis/),
    ]);
  });
});
