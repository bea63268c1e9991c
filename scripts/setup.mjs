/**
 * Sets a fresh clone up: dependencies and build, each only when it is needed. Plain Node, no dependencies,
 * so that it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";

export const root = fileURLToPath(new URL("..", import.meta.url));
const buildStamp = join(root, "dist", ".built");

export function say(text) {
  process.stdout.write(`\n> ${text}\n`);
}

/** Runs a command with its output shown; returns its exit code. `env` is added to this process's own. */
export function run(command, args, { env = {} } = {}) {
  const onWindowsShell = process.platform === "win32" && command === "npm";
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    shell: onWindowsShell,
    env: { ...process.env, ...env },
  });
  if (result.error !== undefined) {
    process.stderr.write(`cannot run ${command}: ${result.error.message}\n`);
    return 1;
  }
  return result.status ?? 1;
}

/** Runs a script of an installed package with this very Node, so that no shell and no PATH is involved. */
export function runPackage(script, args, options) {
  return run(process.execPath, [join(root, "node_modules", script), ...args], options);
}

export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  process.stderr.write(`Onefold needs Node 20.19 or later; this is Node ${process.versions.node}.\n`);
  process.exit(1);
}

/** Whether what is installed is what package-lock.json asks for (optional packages of other platforms aside). */
function dependenciesAreCurrent() {
  const installedLock = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedLock)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedLock, "utf8")).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === "") return true;
    return installed[path] === undefined ? entry.optional === true : installed[path].version === entry.version;
  });
}

/**
 * Native packages ship prebuilt binaries as optional dependencies, so no install script needs to run.
 */
export function installDependencies() {
  if (dependenciesAreCurrent()) return;
  say("Installing dependencies: npm ci");
  const code = run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  if (code !== 0) {
    process.stderr.write("npm ci failed: see above. The npm registry must be reachable.\n");
    process.exit(code);
  }
}

function newestChangeMillis(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce(
    (newest, name) => Math.max(newest, newestChangeMillis(join(path, name))),
    stat.mtimeMs,
  );
}

function buildIsCurrent() {
  if (!existsSync(buildStamp)) return false;
  const inputs = ["src", "scripts/bundle.mjs", "tsconfig.json", "tsconfig.build.json", "package-lock.json"].map(
    (name) => join(root, name),
  );
  return Math.max(...inputs.map(newestChangeMillis)) < statSync(buildStamp).mtimeMs;
}

/** Compiles src/ to dist/ and bundles what is shipped, unless dist/ is newer; returns an exit code. */
export function build() {
  if (buildIsCurrent()) return 0;
  say("Building: tsc -p tsconfig.build.json");
  rmSync(join(root, "dist"), { recursive: true, force: true });
  const startedAt = new Date();
  const code = runPackage("typescript/bin/tsc", ["-p", "tsconfig.build.json"]);
  if (code === 0) {
    bundle(root);
    writeFileSync(buildStamp, "");
    // As of the start: a file saved while the compiler ran makes the build stale.
    utimesSync(buildStamp, startedAt, startedAt);
  }
  return code;
}
