/**
 * What is shipped: the package's doors and the programs that it starts, each with all that it needs in few files. Node takes
 * longer to find and load hundreds of modules than to run what a command of `onefold` does. What is loaded only when it is
 * needed stays apart.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

const DOORS = ["index", "client/index", "testing/index", "cli/main"];
/** Run by their files, in processes and threads of their own. */
const PROGRAMS = [
  "base/starter-process",
  "offline-store/engine-process",
  "platform/fold-process",
  "training/join-thread",
];

/** In dist/, of what the compiler left there. Throws where it cannot be. */
export function bundle(root) {
  const { buildSync } = createRequire(join(root, "package.json"))("esbuild");
  const dist = join(root, "dist");
  buildSync({
    entryPoints: [...DOORS, ...PROGRAMS].map((module) => join(dist, `${module}.js`)),
    outbase: dist,
    outdir: dist,
    allowOverwrite: true,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: true,
    sourcesContent: false,
    logLevel: "warning",
  });
}
