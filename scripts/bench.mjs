/**
 * `npm run bench -- NAME [--json]`: bundles `bench/NAME.ts` and what it starts, and runs it. Benchmarks that
 * start the command line get it built. `--help` shows what the benchmark says of itself.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build, installDependencies, requireNode, root, run, say } from "./setup.mjs";

const NEEDS_DIST = ["backfill", "preview", "serving", "training"];
/**
 * They ask at a fixed rate from a core of their own. The collector's helper threads would share that core, each for
 * milliseconds at a time, in which nothing is asked or heard: counted as the server's.
 */
const ASK_AT_A_RATE = ["backfill", "serving"];

requireNode();
const [name, ...rest] = process.argv.slice(2);
const folder = join(root, "bench");
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replace(/\.ts$/, ""));
if (name === undefined || !existsSync(join(folder, `${name}.ts`))) {
  say(`Usage: npm run bench -- NAME [options], where NAME is one of ${names.join(", ")}`);
  process.exit(2);
}
if (rest.includes("--help") || rest.includes("-h")) {
  const [, text = ""] = /^\/\*\*\n([^]*?)\n \*\//.exec(readFileSync(join(folder, `${name}.ts`), "utf8")) ?? [];
  process.stdout.write(`${text.replace(/^ \* ?/gm, "")}\n`);
  process.exit(0);
}
installDependencies();
if (NEEDS_DIST.includes(name) && build() !== 0) process.exit(1);
/** Programs of their own, which benchmarks start by their built names. */
const sources = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".ts"));
const texts = sources.map((file) => readFileSync(join(folder, file), "utf8"));
const started = sources
  .map((file) => file.replace(/\.ts$/, ""))
  .filter((file) =>
    texts.some((text) => text.includes(`/${basename(file)}.mjs"`) || text.includes(`"${basename(file)}.mjs"`)),
  );
const { buildSync } = await import("esbuild");
const outdir = join(root, ".cache", "bench");
mkdirSync(outdir, { recursive: true });
buildSync({
  entryPoints: [name, ...started].map((one) => join(folder, `${one}.ts`)),
  outbase: folder,
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  // The examples' features, with the platform that is measured.
  alias: { onefold: join(root, "src", "index.ts") },
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
});
const flags = ASK_AT_A_RATE.includes(name) ? ["--single-threaded-gc"] : [];
process.exitCode = run(process.execPath, ["--enable-source-maps", ...flags, join(outdir, `${name}.mjs`), ...rest]);
