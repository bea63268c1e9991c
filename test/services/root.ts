/** The project's folder, also where this is bundled into `.cache/` (`npm run services`). */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function above(folder: string): string {
  return existsSync(join(folder, "scripts", "services")) ? folder : above(dirname(folder));
}

export const root = above(dirname(fileURLToPath(import.meta.url)));
