/** A Python that has what a test needs: the one that ONEFOLD_PYTHON names, or the machine's. */
import { execFileSync } from "node:child_process";

/** Undefined, and the run says so, where there is none with these modules. */
export function pythonWith(modules: readonly string[]): string | undefined {
  const found = [process.env["ONEFOLD_PYTHON"], "python3", "python"].find((candidate) => {
    if (candidate === undefined) return false;
    try {
      execFileSync(candidate, ["-c", `import ${modules.join(", ")}`], { stdio: "ignore" });
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
