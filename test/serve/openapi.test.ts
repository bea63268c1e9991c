import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { openApiText } from "../docs/openapi-document.ts";
import type { OpenApiDocument } from "../../src/serve/openapi.ts";
import { useServer } from "./server-in-test.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const http = useServer();

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
