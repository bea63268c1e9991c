/**
 * `npm run demo`: sets itself up, then runs the flights demo. Arguments go to the demo (`npm run demo -- --keep`); with
 * `--kafka --redis` it is the one that compares embedded with Kafka and Redis.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { build, installDependencies, requireNode, root, run, say } from "./setup.mjs";

requireNode();
installDependencies();
if (build() !== 0) process.exit(1);

say("Bundling examples/flights");
const { buildSync } = await import("esbuild");
const outdir = join(root, ".cache", "examples", "flights");
mkdirSync(outdir, { recursive: true });
buildSync({
  entryPoints: ["demo.ts", "kafka-demo.ts", "latency-worker.ts"].map((name) => join(root, "examples", "flights", name)),
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
});
const args = process.argv.slice(2);
const demo = args.some((arg) => arg === "--kafka" || arg === "--redis") ? "kafka-demo.mjs" : "demo.mjs";
process.exitCode = run(process.execPath, ["--enable-source-maps", join(outdir, demo), ...args]);
