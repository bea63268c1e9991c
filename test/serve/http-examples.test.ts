/** Runs the examples of docs/http.md in order and compares every answer with the page. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFeatureReader } from "../../src/serve/feature-reader.ts";
import { type HttpServer, openHttpServer } from "../../src/serve/http.ts";
import { allRoutes } from "../../src/serve/routes.ts";
import { pushAsTheProduct } from "./push-as-the-product.ts";
import { createWorld, type World } from "./served-world.ts";

interface Example {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
  readonly answer: unknown;
}

const page = readFileSync(new URL("../../docs/http.md", import.meta.url), "utf8");
/** Lines of a text that an answer must have, among others: `GET /metrics`. */
const textExamples = [...page.matchAll(/```http\n(\w+) (\S+)\n```\n+```text (\d+)\n([^`]*)```/g)].map(
  ([, method, path, status, text]) => ({
    method: method!,
    path: path!,
    status: Number(status),
    lines: text!.trim().split("\n"),
  }),
);
const examples = [...page.matchAll(/```http\n(\w+) (\S+)\n([^`]*)```\n+```json (\d+)\n([^`]*)```/g)].map(
  ([, method, path, body, status, answer]): Example => ({
    method: method!,
    path: path!,
    body: body!,
    status: Number(status),
    answer: JSON.parse(answer!),
  }),
);

let world: World;
let server: HttpServer;
beforeAll(async () => {
  world = await createWorld();
  world.pushInstead = pushAsTheProduct(world);
  world.monitor.start();
  server = await openHttpServer(createFeatureReader(world), world, { port: 0 });
});
afterAll(() => {
  world.monitor.stop();
  return server.close();
});

/** Without what differs from run to run. */
function plain(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer), (key, value: unknown) =>
    key === "latency_ms" || key === "fingerprint" ? typeof value : value,
  );
}

describe("docs/http.md", () => {
  it.each(examples)("$method $path answers as the page says", async ({ method, path, body, status, answer }) => {
    const response = await fetch(`${server.url}${path}`, { method, ...(body === "" ? {} : { body }) });
    const actual = plain(await response.json());
    expect({ status: response.status, answer: actual }).toEqual({ status, answer: plain(answer) });
  });

  it.each(textExamples)("$method $path answers with the lines of the page", async ({ method, path, status, lines }) => {
    const response = await fetch(`${server.url}${path}`, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    expect((await response.text()).split("\n")).toEqual(expect.arrayContaining(lines));
  });

  it("shows every route that it names, and every route there is", () => {
    expect(examples.length + textExamples.length).toBe(page.split("```http\n").length - 1);
    expect(textExamples).not.toEqual([]);
    for (const { path } of allRoutes(createFeatureReader(world), world)) {
      const mentioned = path.startsWith("/registry") ? "/registry" : path;
      expect(page).toContain(mentioned);
    }
  });
});
