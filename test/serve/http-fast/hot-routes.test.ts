import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { type HotHead, HotRoutes, sameHead } from "../../../src/serve/http-fast/hot-routes.ts";
import type { Route } from "../../../src/serve/route.ts";
import { receivedWords, SocketBytes } from "../../../src/serve/socket-bytes.ts";

function route(method: "GET" | "POST", path: string, isHot = true): Route {
  return {
    method,
    path,
    summary: "",
    reads: method === "GET" ? "nothing" : "json",
    schemas: { params: {}, query: {}, body: {}, answers: {} },
    ...(isHot ? { isHot } : {}),
    handle: () => ({ status: 200, body: {} }),
  };
}

const all = [
  route("GET", "/features/{type}/{id}"),
  route("POST", "/features"),
  route("POST", "/services/{name}/vector"),
  route("GET", "/health", false),
];
const routes = new HotRoutes(all, () => () => true);
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
const post = (target: string, length = 2): string =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

/** What connections are received into, as one of them is given it. */
async function receivedBlock(): Promise<{ block: Buffer; close(): Promise<void> }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  const received = new Promise<Buffer>((resolve) => new SocketBytes(socket, resolve));
  client.write("x");
  const block = await received;
  expect(receivedWords(block), "no block on this version of Node").not.toBeNull();
  return {
    block,
    close: async () => {
      client.destroy();
      socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe("hot routes", () => {
  it("are those of the last head where the very same comes again", () => {
    const head = post("/services/model/vector", 17);
    const found = routes.find(head)!;
    expect(found.meaning!.space).toBe(0);
    const same = (known: HotHead | null, received: string, start = 0, end = received.length): HotHead | null =>
      sameHead(known, Buffer.from(received, "latin1"), start, end);
    expect(same(null, head)).toBeNull();
    for (const other of [head.slice(0, -1), ` ${head}`, head.replace("17", "18"), head.toLowerCase(), ""]) {
      expect(same(found, other)).toBeNull();
    }
    // What stands behind the end came before.
    expect(same(found, head, 0, head.length - 1)).toBeNull();
    expect(found.meaning!.space).toBe(0);
    expect(same(found, `..${head}{}`, 2)).toBe(found);
    expect(found.meaning!.space).toBeGreaterThan(0);
    // What is not kept is looked at each time.
    expect(same(routes.find(get("/features/a/b")), get("/features/a/b"))).toBeNull();
  });

  it("are found with their parameters and query, decoded", () => {
    expect(routes.find(get("/features/a/b%7Cc%C3%BC?names=x%2Cy&token=true"))).toMatchObject({
      hot: { route: { path: "/features/{type}/{id}" } },
      path: "/features/a/b%7Cc%C3%BC",
      params: { type: "a", id: "b|cü" },
      query: { names: "x,y", token: "true" },
      bodyBytes: 0,
    });
    expect(routes.find(post("/services/model/vector", 17))).toMatchObject({ params: { name: "model" }, bodyBytes: 17 });
  });

  it("are no others, and none that can be read in two ways", () => {
    for (const target of [
      "/health",
      "/features/a",
      "/features/a/",
      "/features//b",
      "/features/a/b/c",
      "/features/a/b?",
      "/features/a/b?names",
      "/features/a/b?names=",
      "/features/a/b?names=x&names=y",
      "/features/a/b?names=x=y",
      "/features/a/b?names=x+y",
      "/features/a/b?__proto__=x",
      "/features/a/b?a=b?c=d",
      "/features/a/b#c",
      "/features/a/b;c",
      "/features/a/b%25",
      "/features/a/%ff",
      "/features/a/%",
      `/features/a/${"b".repeat(3073)}`,
    ]) {
      expect(routes.find(get(target)), target).toBeNull();
    }
    for (const target of ["/features?names=x", "/features/", "/services/a/b/vector"]) {
      expect(routes.find(post(target)), target).toBeNull();
    }
  });

  it("are refused by the schemas' own judges", () => {
    const refuse = (refused: string): HotRoutes =>
      new HotRoutes(all, (_schema, _route, part) => () => part !== refused);
    expect(refuse("nothing").find(get("/features/a/b?x=y"))).not.toBeNull();
    expect(refuse("params").find(get("/features/a/b"))).toBeNull();
    expect(refuse("querystring").find(get("/features/a/b?x=y"))).toBeNull();
    expect(refuse("body").find(post("/features"))!.hot.bodyIsValid({})).toBe(false);
  });

  it("keep answers to targets that come again, each in a space of its own, however their heads differ", () => {
    const spaceOf = (head: string): number => routes.find(head)!.meaning!.space;
    const spaces = ["a", "b"].map((name) => {
      const head = post(`/services/again-${name}/vector`);
      expect(spaceOf(head)).toBe(0);
      const space = spaceOf(head);
      expect(spaceOf(head)).toBe(space);
      for (const line of ["traceparent: 00-1", "traceparent: 00-2", "x-onefold-consumer: billing"])
        expect(spaceOf(head.replace("Host: x", `Host: x\r\n${line}`)), line).toBe(space);
      expect(spaceOf(post(`/services/again-${name}/vector`, 17))).toBe(space);
      return space;
    });
    expect(spaces[0]).toBeGreaterThan(0);
    expect(spaces[1]).toBeGreaterThan(0);
    expect(spaces[1]).not.toBe(spaces[0]);
    for (let i = 0; i < 2; i++) expect(routes.find(get("/features/a/b"))!.meaning).toBeNull();
  });

  it("have a space at the second head of a target, whoever sends it", () => {
    const [first, second] = ["1", "2"].map((trace) =>
      routes.find(post("/services/traced/vector").replace("Host: x", `Host: x\r\ntraceparent: ${trace}`)),
    );
    expect(second).not.toBe(first);
    expect(second!.meaning!.space).toBeGreaterThan(0);
    expect(first!.meaning).toBe(second!.meaning);
  });

  it("of one target have one meaning, also once too many others came for all meanings to be kept", () => {
    const own = new HotRoutes(all, () => () => true);
    const find = (head: string): HotHead => own.find(head)!;
    const traced = (target: string, trace: string): string =>
      post(target).replace("Host: x", `Host: x\r\ntraceparent: ${trace}`);
    const early = post("/services/early/vector");
    find(early);
    // Too long for heads to be kept of them.
    for (let i = 0; i < 1000; i++) find(traced(`/services/s${i}/vector`, "1".repeat(1024)));
    const anew = find(traced("/services/early/vector", "2"));
    expect(find(early).meaning).toBe(anew.meaning);
  });

  it("are those of the last head where it stands in what connections are received into, to the last byte", async () => {
    const { block, close } = await receivedBlock();
    for (const length of [2, 17, 170]) {
      const head = post("/services/received/vector", length);
      const found = routes.find(head)!;
      const received = Buffer.from(`${head}{}`, "latin1");
      received.copy(block);
      expect(sameHead(found, block, 0, received.length)).toBe(found);
      expect(sameHead(found, block, 0, head.length - 1)).toBeNull();
      for (let i = 0; i < head.length; i++) {
        block[i]! ^= 1;
        expect(sameHead(found, block, 0, received.length), `byte ${i}`).toBeNull();
        block[i]! ^= 1;
      }
    }
    await close();
  });

  it("of heads that are the same are one, however many heads there are", () => {
    const first = routes.find(post("/services/a/vector"));
    expect(routes.find(post("/services/a/vector"))).toBe(first);
    for (let i = 0; i < 3000; i++)
      expect(routes.find(post(`/services/s${i}/vector`))!.params).toEqual({ name: `s${i}` });
    expect(routes.find(post("/services/a/vector"))).toEqual({ ...first, meaning: { space: expect.any(Number) } });
  });
});
