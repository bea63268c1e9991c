/**
 * `npm test`: everything a change must pass, on a fresh clone too. `--suite` runs only the build and the
 * test suite (what a second Node version needs). Arguments after `--` go to Vitest.
 *
 * The last line is `N passed, N failed`, with `, N skipped` where there are any; a check that fails counts
 * as one failure.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build, installDependencies, requireNode, root, run, runPackage, say } from "./setup.mjs";

const args = process.argv.slice(2);
const suiteOnly = args.includes("--suite");
const vitestArgs = args.filter((arg) => arg !== "--suite" && arg !== "--");

requireNode();
installDependencies();

const failedChecks = [];
function check(name, runCheck) {
  const code = runCheck();
  if (code !== 0) failedChecks.push(name);
}

if (!suiteOnly) {
  check("lint", () => (say("Linting: oxlint"), runPackage("oxlint/bin/oxlint", [])));
  check("format", () => (say("Checking the format: oxfmt --check"), runPackage("oxfmt/bin/oxfmt", ["--check"])));
}
check("build", build);
if (!suiteOnly) {
  check("types", () => (say("Checking types: tsc"), runPackage("typescript/bin/tsc", ["-p", "tsconfig.json"])));
}

const countsFile = join(root, ".cache", `test-counts-${process.pid}.json`);
mkdirSync(join(root, ".cache"), { recursive: true });
say(`Testing on Node ${process.versions.node}: vitest run`);
const suiteCode = runPackage(
  "vitest/vitest.mjs",
  ["run", "--reporter=default", "--reporter=./scripts/count-reporter.mjs", ...vitestArgs],
  { env: { ONEFOLD_TEST_COUNTS: countsFile } },
);
const counts = existsSync(countsFile)
  ? JSON.parse(readFileSync(countsFile, "utf8"))
  : { passed: 0, failed: 1, skipped: 0, failures: ["the tests ended before their counts were written"] };
rmSync(countsFile, { force: true });
if (suiteCode !== 0 && counts.failed === 0) failedChecks.push("vitest");

if (!suiteOnly) {
  check(
    "package",
    () => (
      say("Checking the package: publint"),
      run(process.execPath, ["node_modules/publint/src/cli.js", "run", "--strict"])
    ),
  );
}

for (const name of [...failedChecks, ...counts.failures]) process.stdout.write(`\nfailed: ${name}\n`);
const failed = counts.failed + failedChecks.length;
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
process.stdout.write(`\n${counts.passed} passed, ${failed} failed${skipped}\n`);
process.exitCode = failed > 0 || counts.passed === 0 ? 1 : 0;
