/**
 * `npm run notebook`: executes clients/python/examples/flights.ipynb against a server of its own, and keeps its outputs. It
 * needs a Python (ONEFOLD_PYTHON, or python3) with the client's packages, scikit-learn, nbclient and ipykernel.
 * `--serve` only starts the server, for a notebook that is worked in; `--out FILE` leaves the notebook as it is.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, installDependencies, requireNode, root, run, say } from "./setup.mjs";

const { values: options } = parseArgs({
  options: {
    serve: { type: "boolean", default: false },
    out: { type: "string" },
    folder: { type: "string", default: join(root, ".demo", "notebook") },
    port: { type: "string" },
  },
});

requireNode();
installDependencies();
if (build() !== 0) process.exit(1);

say("Bundling examples/flights");
const { buildSync } = await import("esbuild");
const outdir = join(root, ".cache", "examples", "flights");
mkdirSync(outdir, { recursive: true });
buildSync({
  entryPoints: [join(root, "examples", "flights", "notebook-server.ts")],
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
});

const port = options.port ?? (options.serve ? "8080" : "0");
const args = ["--enable-source-maps", join(outdir, "notebook-server.mjs"), "--folder", options.folder, "--port", port];
if (options.serve) process.exit(run(process.execPath, args));

say("Starting the server");
const server = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
const [line] = await Promise.race([once(server.stdout, "data"), once(server, "exit").then(() => [""])]);
if (String(line) === "") process.exit(1);
const { url, folder } = JSON.parse(String(line));
say("Executing the notebook");
const notebook = join(root, "clients", "python", "examples", "flights.ipynb");
const python = process.env["ONEFOLD_PYTHON"] ?? "python3";
const script = join(root, "clients", "python", "examples", "execute_notebook.py");
const env = { ...process.env, ONEFOLD_URL: url, ONEFOLD_FLIGHTS: folder };
const executing = spawn(python, [script, notebook, options.out ?? notebook], { cwd: root, env, stdio: "inherit" });
const [code] = await once(executing, "exit");
server.kill("SIGTERM");
await once(server, "exit");
process.exitCode = code ?? 1;
