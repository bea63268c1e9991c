import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { openApiText } from "../docs/openapi-document.ts";
import type { OpenApiDocument } from "../../src/serve/openapi.ts";
import { allRoutes } from "../../src/serve/routes.ts";
import type { FeatureReader } from "../../src/serve/feature-reader.ts";
import { headerNames, constantsOf } from "./header-names.ts";
import { useServer } from "./server-in-test.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const http = useServer();

/** What any server of HTTP has, whatever it serves; bodies' types stand with the bodies, `allow` in answers to methods that there are not. */
const OF_THE_PROTOCOL: ReadonlySet<string> = new Set([
  "allow",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
]);

describe("the API's description", () => {
  it("is what docs/openapi.json holds: else run `node scripts/openapi.mjs`", () => {
    const committed: unknown = JSON.parse(readFileSync(`${root}/docs/openapi.json`, "utf8"));
    expect(committed).toEqual(JSON.parse(openApiText(root)));
  });

  it("is valid OpenAPI 3.1, and is served", async () => {
    const { body } = await http.get("/openapi.json");
    expect(await new Validator().validate(body)).toMatchObject({ valid: true });
    expect(body).toEqual(JSON.parse(openApiText(root)));
  });

  it("names every parameter of a path, and no operation twice", async () => {
    const { paths } = (await http.get("/openapi.json")).body as unknown as OpenApiDocument;
    const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId));
    expect(new Set(ids).size).toBe(ids.length);
    for (const [path, methods] of Object.entries(paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      for (const { parameters = [] } of Object.values(methods)) {
        expect(parameters.filter((one) => one.in === "path").map((one) => one.name)).toEqual(inPath);
      }
    }
  });

  it("says of every body that it may be wrong, too large, or too much at once", async () => {
    const { paths } = (await http.get("/openapi.json")).body as unknown as OpenApiDocument;
    const reading = Object.values(paths).flatMap((methods) =>
      Object.values(methods).filter(({ requestBody }) => requestBody !== undefined),
    );
    expect(reading.length).toBeGreaterThan(10);
    for (const { operationId, responses } of reading) {
      expect(Object.keys(responses), operationId).toEqual(expect.arrayContaining(["400", "413", "429"]));
    }
  });

  it("says of every parameter that it may be wrong", async () => {
    const { paths } = (await http.get("/openapi.json")).body as unknown as OpenApiDocument;
    const asking = Object.values(paths).flatMap((methods) =>
      Object.values(methods).filter(({ parameters = [] }) => parameters.length > 0),
    );
    expect(asking.length).toBeGreaterThan(20);
    for (const { operationId, responses } of asking) expect(Object.keys(responses), operationId).toContain("400");
  });

  it("has every header that the server reads or writes, but those of the protocol", async () => {
    const sources = readdirSync(`${root}/src/serve`, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(`${root}/src/serve/${file}`, "utf8"));
    const constants = new Map(sources.flatMap((source) => [...constantsOf(source)]));
    const used = new Set(sources.flatMap((source) => [...headerNames(source, constants)]));
    for (const name of ["x-onefold-consumer", "x-onefold-token", "x-onefold-snapshot-age-ms", "expect", "retry-after"])
      expect(used).toContain(name);
    const { paths } = (await http.get("/openapi.json")).body as unknown as OpenApiDocument;
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
    const described = new Set([
      ...operations
        .flatMap(({ parameters = [] }) => parameters.filter((one) => one.in === "header"))
        .map(({ name }) => name),
      ...operations.flatMap(({ responses }) =>
        Object.values(responses).flatMap(({ headers = {} }) => Object.keys(headers)),
      ),
    ]);
    expect([...used].filter((name) => !described.has(name) && !OF_THE_PROTOCOL.has(name))).toEqual([]);
    for (const name of [...described, ...OF_THE_PROTOCOL]) expect(used, "is used").toContain(name);
  });

  it("says where who asks can name itself: wherever vectors are answered", async () => {
    const { paths } = (await http.get("/openapi.json")).body as unknown as OpenApiDocument;
    const naming = Object.entries(paths).filter(([, methods]) =>
      Object.values(methods).some(({ parameters = [] }) =>
        parameters.some(({ name }) => name === "x-onefold-consumer"),
      ),
    );
    expect(naming.map(([path]) => path).toSorted()).toEqual(
      allRoutes({} as FeatureReader, http.world)
        .filter(({ isHot }) => isHot)
        .map(({ path }) => path)
        .toSorted(),
    );
  });

  it("finds header names in any form that code has for them", () => {
    const found = headerNames(
      `const { "a-1": a = "", b } = request.headers; f(request.headers["c-1"], headers.d, headers[E], x["no"]);
       const g = { status: 200, headers: { "h-1": "1", [E]: 2, ...more } }; this.headers = l ? { p: 1 } : Q; reply.header("i-1", 1).setHeader(E, 2);
       const j = ({ headers: { k } }: Request) => k; f("x-own-header");
       switch (l) { case "content-length": case "m": case E: } switch (n) { case "o": }`,
      new Map([
        ["E", ["E-1"]],
        ["Q", ["q-1", "q-2"]],
      ]),
    );
    expect([...found].toSorted()).toEqual([
      "a-1",
      "b",
      "c-1",
      "content-length",
      "d",
      "e-1",
      "h-1",
      "i-1",
      "k",
      "m",
      "p",
      "q-1",
      "q-2",
      "x-own-header",
    ]);
  });

  it("is a page that runs nothing and fetches nothing", async () => {
    const response = await fetch(`${http.server.url}/docs`);
    const page = await response.text();
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page).not.toMatch(/<script|<link|<img|src=|url\(|https?:/);
    const { paths } = (await http.get("/openapi.json")).body as unknown as OpenApiDocument;
    for (const path of Object.keys(paths)) expect(page).toContain(`<code>${path}</code>`);
    // members of a shared schema are shown where it is used
    expect(page).toContain("metadata.missing_features");
  });
});
