/** The version of this package, as its manifest has it. */
import { readFileSync } from "node:fs";

/** `unknown` where the code was bundled into another program, away from its manifest. */
export function packageVersion(): string {
  try {
    const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    return (JSON.parse(manifest) as { version: string }).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "unknown";
    throw error;
  }
}
