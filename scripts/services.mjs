/** `npm run services [-- NAME...]`: bundles `test/services/keyboard.ts` and runs it. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { installDependencies, requireNode, root } from "./setup.mjs";

requireNode();
installDependencies();
const { buildSync } = await import("esbuild");
const outfile = join(root, ".cache", "services", "keyboard.mjs");
buildSync({
  entryPoints: [join(root, "test", "services", "keyboard.ts")],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
});
const child = spawn(process.execPath, [outfile, ...process.argv.slice(2)], { stdio: "inherit" });
// A terminal sends Ctrl-C to both; who stops this one alone means both as well.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code) => {
  process.exitCode = code ?? 1;
});
