/** The file that is run as `onefold`, for processes that run it again. */
import { fileURLToPath } from "node:url";

export function programPath(): string {
  const main = import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js";
  return fileURLToPath(new URL(main, import.meta.url));
}
