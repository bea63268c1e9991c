/**
 * The API's own description: as OpenAPI, and as a page.
 */
import { packageVersion } from "../base/version.ts";
import { docsPage } from "./docs-page.ts";
import { openApiDocument } from "./openapi.ts";
import { type Route, sameHeaders } from "./route.ts";

/** Nothing on the page runs, and nothing is fetched for it. */
const PAGE_HEADERS = {
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
};
const pageHeaders = sameHeaders(PAGE_HEADERS);

/** `routes` with those that describe them all. */
export function withDocs(routes: readonly Route[]): Route[] {
  const all: Route[] = [
    ...routes,
    {
      method: "GET",
      path: "/openapi.json",
      summary: "This API as an OpenAPI 3.1 document",
      reads: "nothing",
      schemas: { answers: { 200: { type: "object" } } },
      handle: () => ({ status: 200, body: openApiDocument(all, packageVersion()) }),
    },
    {
      method: "GET",
      path: "/docs",
      summary: "This API as a page",
      reads: "nothing",
      schemas: { answers: { 200: { type: "string" } }, answerType: "text/html", answerHeaders: pageHeaders },
      handle: () => ({
        status: 200,
        contentType: "text/html; charset=utf-8",
        headers: PAGE_HEADERS,
        body: docsPage(openApiDocument(all, packageVersion())),
      }),
    },
  ];
  return all;
}
