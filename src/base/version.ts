/** The version of this package, as its manifest has it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "./package-files.ts";

/** `unknown` where the code was bundled into another program, away from its manifest. */
export function packageVersion(): string {
  if (PACKAGE_ROOT === null) return "unknown";
  const manifest = readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
