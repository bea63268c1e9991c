/**
 * The client against the real server, and against servers that fail in ways a real one seldom does.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createClient, type OnefoldClient } from "../../src/client/index.ts";
import { useServer } from "../serve/server-in-test.ts";

const http = useServer();
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

describe("the client, against the real server", () => {
  it("reads vectors, with request data, metadata and tokens, and pushes events", async () => {
    const client = clientOf(http.server.url);
    const pushed = await client.push("arrivals", [
      { origin: "JFK", destination: "LAX", account: 12345678901234567n, arrived_at: "2001-06-01T11:59:00Z", delay: 8 },
      { origin: "JFK", destination: "LAX", account: "1", arrived_at: "never" },
    ]);
    expect(pushed).toMatchObject({ accepted: 1, rejected: 1 });
    const [first, second] = await client.vectors("delay_model", [
      { airport: "JFK", route: ["JFK", "LAX"] },
      { airport: "BOS", route: ["BOS", "LAX"] },
    ]);
    expect(first!.features).toEqual({ arrivals_1h: 1, mean_delay_1h: 8, last_delay: 8, route_arrivals_1h: 1 });
    expect(second!.features).toMatchObject({ arrivals_1h: 0, mean_delay_1h: null });
    const full = await client.vector(
      "delay_model",
      { airport: "JFK", route: ["JFK", "LAX"] },
      { metadata: true, token: true },
    );
    expect(full.metadata).toMatchObject({
      token: expect.any(String),
      features: { arrivals_1h: { status: "PRESENT", exact: true } },
    });
  });

  it("gives one wrong key of a batch its own error, and the others their vectors", async () => {
    http.world.arrive({ delay: 3 });
    const client = clientOf(http.server.url);
    const ask = (airport: unknown): Promise<unknown> =>
      client.vector("delay_model", { airport, route: ["JFK", "LAX"] }).then(
        ({ features }) => features["mean_delay_1h" as never],
        (error: { code: string }) => error.code,
      );
    expect(await Promise.all([ask("JFK"), ask(null), ask("JFK"), ask([1, 2]), ask("BOS")])).toEqual([
      3,
      "KEY_MISSING",
      3,
      "REQUEST_INVALID",
      null,
    ]);
  });

  it("rejects with the server's own errors", async () => {
    const client = clientOf(http.server.url);
    await expect(client.vector("delay_modle", {})).rejects.toMatchObject({
      code: "SERVICE_UNKNOWN",
      candidates: ["delay_model"],
    });
    await expect(client.push("nope", [])).rejects.toMatchObject({ code: "SOURCE_UNKNOWN" });
  });
});

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

  it("ends on a server that accepts and never answers", async () => {
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    closers.push(() => void silent.close());
    const client = clientOf(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, { timeoutMs: 100 });
    await expect(client.vector("s", { user: "a" })).rejects.toMatchObject({ code: "CALL_TIMED_OUT" });
    await expect(client.push("s", [])).rejects.toMatchObject({ code: "CALL_TIMED_OUT" });
  });

  it("ends when its caller wants", async () => {
    const { url } = await scripted(() => {});
    const ends = new AbortController();
    const asked = clientOf(url).vector("s", { user: "a" }, { signal: ends.signal });
    setTimeout(() => ends.abort(new Error("no longer wanted")), 20);
    await expect(asked).rejects.toThrow("no longer wanted");
  });

  it("says so where there is no server", async () => {
    await expect(clientOf("http://127.0.0.1:1", { retries: 0 }).vector("s", { user: "a" })).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      hint: expect.stringContaining("onefold serve"),
    });
    expect(() => createClient({ url: "127.0.0.1:8080" })).toThrow(/is not the address of a server/);
  });
});
