/**
 * The client over HTTP, against servers that answer by a script: what it sends, and what it makes of answers that
 * a real one seldom gives. What it does over either transport is in both-transports.test.ts.
 */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createClient, type OnefoldClient } from "../../src/client/index.ts";

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function clientOf(url: string, options: Partial<Parameters<typeof createClient>[0]> = {}): OnefoldClient {
  const client = createClient({ url, timeoutMs: 5000, random: () => 0, ...options });
  closers.push(() => client.close());
  return client;
}

interface Seen {
  readonly path: string;
  readonly body: unknown;
  readonly socket: number | undefined;
}

/** A server that answers by a script, and remembers what it was asked. */
async function scripted(answer: (seen: Seen, response: ServerResponse, turn: number) => void) {
  const seen: Seen[] = [];
  const server: Server = createServer((request: IncomingMessage, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      const one = { path: request.url!, body: JSON.parse(text) as unknown, socket: request.socket.remotePort };
      seen.push(one);
      answer(one, response, seen.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const vectorOf = (value: unknown): object => ({ features: { a: value }, metadata: {} });

/** Answers each entity with its own key. */
function echo({ path, body }: Seen, response: ServerResponse): void {
  const { entities } = body as { entities: { user: string } | { user: string }[] };
  if (path.endsWith("/vector")) send(response, 200, vectorOf((entities as { user: string }).user));
  else send(response, 200, { results: (entities as { user: string }[]).map(({ user }) => vectorOf(user)) });
}

describe("calls of one turn", () => {
  it("go together, each answered with its own, and calls of the next turn by themselves", async () => {
    const { url, seen } = await scripted(echo);
    const client = clientOf(url);
    const users = Array.from({ length: 40 }, (_, i) => `u${i}`);
    const answers = await Promise.all(users.map((user) => client.vector("s", { user })));
    expect(answers.map(({ features }) => features["a"])).toEqual(users);
    expect(seen.map(({ path }) => path)).toEqual(["/services/s/vectors"]);
    await client.vector("s", { user: "alone" });
    expect(seen.map(({ path }) => path)).toEqual(["/services/s/vectors", "/services/s/vector"]);
  });

  it("go apart by service and by what they want, and in batches of the size allowed", async () => {
    const { url, seen } = await scripted(echo);
    const client = clientOf(url, { batchMax: 3 });
    await Promise.all([
      ...Array.from({ length: 7 }, (_, i) => client.vector("s", { user: `u${i}` })),
      client.vector("other", { user: "a" }),
      client.vector("s", { user: "b" }, { token: true }),
    ]);
    const sizes = seen.map(({ path, body }) => {
      const { entities } = body as { entities: unknown };
      return `${path.split("/")[2]} ${Array.isArray(entities) ? entities.length : 1}`;
    });
    expect(sizes.sort()).toEqual(["other 1", "s 1", "s 1", "s 3", "s 3"]);
  });

  it("carry each its own request data", async () => {
    const { url, seen } = await scripted(echo);
    const client = clientOf(url);
    await Promise.all([
      client.vector("s", { user: "a" }, { request: { amount: 1 } }),
      client.vector("s", { user: "b" }),
    ]);
    expect(seen[0]!.body).toEqual({ entities: [{ user: "a" }, { user: "b" }], request: [{ amount: 1 }, {}] });
  });

  it("of which many are wrong each fail by themselves, and not one round trip after another", async () => {
    const { url, seen } = await scripted((one, response) => {
      setTimeout(() => {
        const { entities } = one.body as { entities: { user: string | null } | { user: string | null }[] };
        const asked = Array.isArray(entities) ? entities : [entities];
        const wrong = asked.findIndex(({ user }) => user === null);
        if (wrong < 0) return echo(one, response);
        const where = Array.isArray(entities) ? `entities[${wrong}] user` : "user";
        send(response, 400, { error: { code: "KEY_MISSING", message: "no key", where } });
      }, 20);
    });
    const client = clientOf(url, { timeoutMs: 60_000 });
    const users = Array.from({ length: 500 }, (_, i) => (i % 5 === 0 ? `u${i}` : null));
    const answers = await Promise.all(
      users.map((user) =>
        client.vector("s", { user }).then(
          ({ features }) => features["a"],
          (error: { code: string }) => error.code,
        ),
      ),
    );
    expect(answers).toEqual(users.map((user) => user ?? "KEY_MISSING"));
    expect(seen.filter(({ path }) => path.endsWith("/vectors")).length).toBeLessThan(10);
  });

  it("share connections that stay open", async () => {
    const { url, seen } = await scripted(echo);
    const client = clientOf(url, { connections: 2 });
    for (let i = 0; i < 20; i++)
      await Promise.all([client.vector("s", { user: "a" }), client.vector("t", { user: "b" })]);
    expect(new Set(seen.map(({ socket }) => socket)).size).toBeLessThanOrEqual(2);
  });
});

describe("what fails in passing", () => {
  const busy = { error: { code: "NOT_READY", message: "loading" } };

  it("is tried again as often as allowed, and no more", async () => {
    const { url, seen } = await scripted((one, response, turn) => {
      if (turn < 3) send(response, 503, busy);
      else echo(one, response);
    });
    expect((await clientOf(url, { retries: 2 }).vector("s", { user: "a" })).features["a"]).toBe("a");
    expect(seen).toHaveLength(3);
    const never = await scripted((_, response) => send(response, 503, busy));
    await expect(clientOf(never.url, { retries: 1 }).vector("s", { user: "a" })).rejects.toMatchObject({
      code: "NOT_READY",
    });
    expect(never.seen).toHaveLength(2);
  });

  it("is not what a caller did wrong", async () => {
    const wrong = { error: { code: "KEY_MISSING", message: "no key" } };
    const { url, seen } = await scripted((_, response) => send(response, 400, wrong));
    await expect(clientOf(url).vector("s", { user: "a" })).rejects.toMatchObject({ code: "KEY_MISSING" });
    expect(seen).toHaveLength(1);
  });

  it("of a broken connection repeats a question, and a push only where that counts once", async () => {
    const { url, seen } = await scripted((one, response, turn) => {
      if (turn % 2 === 1) response.socket!.destroy();
      else if (one.path.startsWith("/events"))
        send(response, 200, { accepted: 1, duplicates: 0, rejected: 0, outcomes: [] });
      else echo(one, response);
    });
    const client = clientOf(url);
    expect((await client.vector("s", { user: "a" })).features["a"]).toBe("a");
    expect(seen).toHaveLength(2);
    await expect(client.push("events", [{}])).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    expect(seen).toHaveLength(3);
    seen.push({ path: "", body: null, socket: 0 });
    expect(await client.push("events", [{}], { idempotent: true })).toMatchObject({ accepted: 1 });
  });

  it("of back-pressure repeats a push: nothing of it was taken in", async () => {
    const { url, seen } = await scripted((_, response, turn) => {
      if (turn === 1) send(response, 429, { error: { code: "BACKPRESSURE", message: "later" } });
      else send(response, 200, { accepted: 1, duplicates: 0, rejected: 0, outcomes: [] });
    });
    expect(await clientOf(url).push("events", [{}])).toMatchObject({ accepted: 1 });
    expect(seen).toHaveLength(2);
  });

  it("of a proxy without our codes is told by its status", async () => {
    const { url } = await scripted((_, response) => void response.writeHead(502).end("<html>bad gateway</html>"));
    await expect(clientOf(url, { retries: 0 }).vector("s", { user: "a" })).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
    });
  });

  it("pauses longer each time, at random up to there", async () => {
    const { url, seen } = await scripted((_, response) => send(response, 503, busy));
    const startMs = performance.now();
    await expect(clientOf(url, { retries: 3, random: () => 0.999 }).vector("s", { user: "a" })).rejects.toMatchObject({
      code: "NOT_READY",
    });
    expect(seen).toHaveLength(4);
    // 20 + 40 + 80 ms, drawn at their longest
    expect(performance.now() - startMs).toBeGreaterThan(130);
  });
});

describe("a call", () => {
  it("ends when its time is up, each caller of a batch at its own", async () => {
    const { url } = await scripted((one, response) => setTimeout(() => echo(one, response), 300));
    const client = clientOf(url);
    const short = client.vector("s", { user: "a" }, { timeoutMs: 50 });
    const long = client.vector("s", { user: "b" }, { timeoutMs: 5000 });
    await expect(short).rejects.toMatchObject({ code: "CALL_TIMED_OUT", message: expect.stringContaining("50 ms") });
    expect((await long).features["a"]).toBe("b");
  });

  it("is answered by what is an answer", async () => {
    const { url } = await scripted((_, response) => send(response, 200, { hello: "world" }));
    const client = clientOf(url);
    const none = {
      code: "REQUEST_INVALID",
      message: expect.stringContaining(
        `${url} does not answer as Onefold does: no vectors for POST /services/s/vector`,
      ),
      where: "url",
    };
    await expect(client.vector("s", { user: "a" })).rejects.toMatchObject(none);
    await expect(client.vectors("s", [{ user: "a" }])).rejects.toMatchObject(none);
    await expect(client.vectors("s", [{ user: "a" }, { user: "b" }])).rejects.toMatchObject(none);
  });

  it.each<readonly [number, string, OutgoingHttpHeaders, string, string, string]>([
    [404, "<html>not found</html>", {}, "REQUEST_INVALID", "status 404 for POST /services/s/vector", "onefold serve"],
    [404, '{"detail":"Not Found"}', {}, "REQUEST_INVALID", "status 404 for POST /services/s/vector", "onefold serve"],
    [301, "", { location: "https://a.example/" }, "REQUEST_INVALID", "which is at https://a.example/", "onefold serve"],
    [200, "<html>hello</html>", {}, "REQUEST_INVALID", "status 200 for POST /services/s/vector", "onefold serve"],
    [401, "", {}, "ACCESS_DENIED", "status 401 for POST /services/s/vector", "headers"],
    [429, "slow down", {}, "BACKPRESSURE", "status 429 for POST /services/s/vector", "ask for less"],
    [500, "<html>oops</html>", {}, "SERVER_UNREACHABLE", "status 500 for POST /services/s/vector", "onefold serve"],
    [503, "", {}, "SERVER_UNREACHABLE", "status 503 for POST /services/s/vector", "onefold serve"],
  ])("answered with %i %s by another server says by whom, and what to do", async (status, text, ...rest) => {
    const [headers, code, answered, hint] = rest;
    const { url } = await scripted((_, response) => void response.writeHead(status, headers).end(text));
    const error = await clientOf(url, { retries: 0 })
      .vectors("s", [{ user: "a" }])
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, hint: expect.stringContaining(hint) });
    expect((error as Error).message).toContain(answered);
    expect((error as Error).message).toContain(url);
  });

  it("is told an error of a code that this client does not know as it is", async () => {
    const { url } = await scripted((_, response) => send(response, 404, { error: { code: "NEW", message: "is new" } }));
    await expect(clientOf(url).vector("s", { user: "a" })).rejects.toMatchObject({
      code: "INTERNAL",
      message: "is new",
    });
  });

  it.each([
    ["timeoutMs", [Number.POSITIVE_INFINITY, Number.NaN, 0, -1, 2 ** 31]],
    ["batchMax", [0, -1, 1.5, Number.NaN, 5001]],
    ["retries", [-1, 0.5, Number.NaN]],
    ["connections", [0, -1, Number.NaN]],
  ])("is not made with a %s that no call could keep", async (name, values) => {
    for (const value of values) {
      const wrong = { code: "REQUEST_INVALID", where: name };
      expect(() => createClient({ url: "http://127.0.0.1:1", [name]: value }), `${value}`).toThrow(
        expect.objectContaining(wrong) as Error,
      );
      if (name !== "timeoutMs") continue;
      const client = clientOf("http://127.0.0.1:1");
      await expect(client.vector("s", {}, { timeoutMs: value })).rejects.toMatchObject(wrong);
      await expect(client.push("s", [{}], { timeoutMs: value })).rejects.toMatchObject(wrong);
    }
  });

  it("is to an address that is one", () => {
    expect(() => createClient({ url: "127.0.0.1:8080" })).toThrow(/is not the address of a server/);
  });
});
