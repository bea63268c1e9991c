/** Set up before each test file: properties begin at `ONEFOLD_FIRST_SEED`, where it is given (first-seed.ts). */
import fc from "fast-check";

// Files that share a process leave nothing of their own settings to the next.
fc.resetConfigureGlobal();
const first = process.env["ONEFOLD_FIRST_SEED"];
if (first !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(first) });
