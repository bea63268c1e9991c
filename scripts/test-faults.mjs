/**
 * `npm run test:faults`: the long tests, which kill, pause and restart real servers. Arguments go to Vitest.
 */
import { run } from "./setup.mjs";

const args = ["scripts/test.mjs", "--suite", "--", "--project", "faults", ...process.argv.slice(2)];
process.exitCode = run(process.execPath, args, { env: { ONEFOLD_FAULTS: "1" } });
