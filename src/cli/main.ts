#!/usr/bin/env node
/**
 * `onefold`. What works beside a server makes way for it first: loading the command line takes several threads a fifth of
 * a second of the core that the server may answer on.
 */
import { tolerateClosedOutput } from "./closed-output.ts";
import { makeWayFirst } from "./make-way.ts";

tolerateClosedOutput();
makeWayFirst(process.argv);
const { runProgram } = await import("./program.ts");
process.exitCode = await runProgram(process.argv);
