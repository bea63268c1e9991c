/**
 * `node scripts/openapi.mjs`: writes docs/openapi.json from the routes' schemas.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { root, runPackage } from "./setup.mjs";

const outfile = join(root, ".cache", "openapi", "docs", "openapi.mjs");
buildSync({
  entryPoints: [join(root, "test", "docs", "openapi-document.ts")],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  // What the routes read beside themselves lies where the source says, not where the bundle is.
  define: { "import.meta.url": JSON.stringify(pathToFileURL(join(root, "src", "serve", "routes.ts")).href) },
});
const { openApiText } = await import(pathToFileURL(outfile).href);
const file = join(root, "docs", "openapi.json");
writeFileSync(file, openApiText(root));
process.exitCode = runPackage("oxfmt/bin/oxfmt", [file]);
