/**
 * `npm run bench -- NAME [--json]`: bundles `bench/NAME.ts` and what it starts, and runs it.
 */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { installDependencies, requireNode, root, run, say } from "./setup.mjs";

requireNode();
const [name, ...rest] = process.argv.slice(2);
const folder = join(root, "bench");
const names = readdirSync(folder).map((file) => file.replace(/\.ts$/, ""));
if (name === undefined || !existsSync(join(folder, `${name}.ts`))) {
  say(`Usage: npm run bench -- NAME [--json], where NAME is one of ${names.join(", ")}`);
  process.exit(2);
}
installDependencies();
const { buildSync } = await import("esbuild");
const outdir = join(root, ".cache", "bench");
mkdirSync(outdir, { recursive: true });
buildSync({
  entryPoints: names.map((each) => join(folder, `${each}.ts`)),
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
});
process.exitCode = run(process.execPath, ["--enable-source-maps", join(outdir, `${name}.mjs`), ...rest]);
