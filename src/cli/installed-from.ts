/** Where this package was installed from, as a project's package.json names it. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve, sep } from "node:path";

const MODULES = `${sep}node_modules${sep}`;

/**
 * `root` is the package's folder. The folder itself, where it is a clone; the tarball, folder or repository that npm noted when
 * it installed the package; else the registry's `version`. Of a tarball at an address npm notes no more than of one of a
 * registry.
 */
export async function installedFrom(root: string, version: string): Promise<string> {
  const at = root.lastIndexOf(MODULES);
  if (at < 0) return `file:${root}`;
  const project = root.slice(0, at);
  const noted = await notedBy(join(project, "node_modules", ".package-lock.json"), root.slice(at + 1));
  if (noted?.startsWith("git") === true) return noted;
  const path = noted?.startsWith("file:") === true ? resolve(project, noted.slice("file:".length)) : null;
  return path !== null && existsSync(path) ? `file:${path}` : `^${version}`;
}

async function notedBy(file: string, module: string): Promise<string | null> {
  try {
    const { packages } = JSON.parse(await readFile(file, "utf8")) as Lockfile;
    return packages?.[module.split(sep).join("/")]?.resolved ?? null;
  } catch {
    // Another package manager, or a global installation.
    return null;
  }
}

interface Lockfile {
  readonly packages?: Readonly<Record<string, { readonly resolved?: string } | undefined>>;
}
