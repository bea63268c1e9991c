/**
 * docs/openapi.json from the routes; `scripts/openapi.mjs` writes it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { FeatureReader } from "../../src/serve/feature-reader.ts";
import { openApiDocument } from "../../src/serve/openapi.ts";
import type { ServePorts } from "../../src/serve/ports.ts";
import { allRoutes } from "../../src/serve/routes.ts";

/** Routes are data until one is called, so that nothing need stand behind them. */
export function openApiText(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const routes = allRoutes({} as FeatureReader, { registry: {} } as ServePorts);
  return `${JSON.stringify(openApiDocument(routes, version), null, 2)}\n`;
}
