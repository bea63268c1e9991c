/**
 * `npm run test:long`: the journeys (documents, demos, benchmarks) and the faults, which kill, pause and restart real
 * servers; `--faults` runs those alone (`npm run test:faults`). Further arguments go to Vitest.
 */
import { run } from "./setup.mjs";

const given = process.argv.slice(2);
const vitestArgs = [
  ...(given.includes("--faults") ? ["--project", "faults"] : []),
  ...given.filter((arg) => arg !== "--faults"),
];
const env = { ONEFOLD_TESTS: "long" };
process.exitCode = run(process.execPath, ["scripts/test.mjs", "--suite", "--", ...vitestArgs], { env });
