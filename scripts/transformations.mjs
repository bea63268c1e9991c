/**
 * `node scripts/transformations.mjs`: writes docs/transformations.md from `src/define/transformation-table.ts`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { root } from "./setup.mjs";

const outfile = join(root, ".cache", "transformations.mjs");
buildSync({
  entryPoints: [join(root, "test", "docs", "transformations-page.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
});
const { transformationsPage } = await import(pathToFileURL(outfile).href);
writeFileSync(join(root, "docs", "transformations.md"), transformationsPage());
