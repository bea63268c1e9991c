/** Set up before each test file: properties begin at `ONEFOLD_FIRST_SEED`, where it is given (first-seed.ts). */
import fc from "fast-check";

const first = process.env["ONEFOLD_FIRST_SEED"];
if (first !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(first) });
