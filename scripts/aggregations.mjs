/**
 * `node scripts/aggregations.mjs`: writes docs/aggregations.md from `src/fold/aggregation-table.ts`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { root } from "./setup.mjs";

const outfile = join(root, ".cache", "aggregations.mjs");
buildSync({
  entryPoints: [join(root, "test", "docs", "aggregations-page.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
});
const { aggregationsPage } = await import(pathToFileURL(outfile).href);
writeFileSync(join(root, "docs", "aggregations.md"), aggregationsPage());
