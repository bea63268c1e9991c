/** The file that is run as `onefold`, for processes that run it again. */
import { moduleFile } from "../base/package-files.ts";

export function programPath(): string {
  return moduleFile("cli/main")!;
}
