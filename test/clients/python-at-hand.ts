/** A Python that has what a test needs: the one that ONEFOLD_PYTHON names, or the machine's. */
import { execFileSync } from "node:child_process";

/** Importing some of them takes ten seconds. */
const HAS_ALL = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))";

/** Undefined, and the run says so, where there is none with these modules. */
export function pythonWith(modules: readonly string[]): string | undefined {
  const found = [process.env["ONEFOLD_PYTHON"], "python3", "python"].find((candidate) => {
    if (candidate === undefined) return false;
    try {
      execFileSync(candidate, ["-c", HAS_ALL, ...modules], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) {
    const names = modules.join(", ");
    console.warn(`\n*** NOT CHECKED: no python3 with ${names}; set ONEFOLD_PYTHON to one that has them.\n`);
  }
  return found;
}
