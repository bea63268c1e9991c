/**
 * Where the desk of a data folder is (`owner-desk.ts`): in a folder that is the user's alone. Socket paths may have a hundred
 * characters, so it is not in the data folder.
 */
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Of a data folder that there is. */
export function deskPath(dataDir: string): string {
  const hash = createHash("sha256").update(realpathSync(dataDir)).digest("hex").slice(0, 24);
  if (process.platform === "win32") return `\\\\.\\pipe\\onefold-${hash}`;
  return join(deskFolder(), `${hash}.sock`);
}

export function deskFolder(): string {
  return join(tmpdir(), `onefold-${userInfo().uid}`);
}
