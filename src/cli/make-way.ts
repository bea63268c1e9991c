/**
 * Commands that work something out beside the server of their data folder make way for it, before they load anything: what
 * they load takes several threads a fifth of a second of the core that the server may answer on.
 */
import { existsSync } from "node:fs";
import { yieldAll } from "../base/yield-priority.ts";
import { deskPath } from "./desk-path.ts";

export const DATA_FOLDER = ".onefold";

const WORKING: readonly string[] = ["backfill"];

/** `argv` is as a process has it. Changes nothing for other commands, nor where no server is. */
export function makeWayFirst(argv: readonly string[]): void {
  const [command = "", ...options] = argv.slice(2);
  if (!WORKING.includes(command)) return;
  const data = dataFolder(options);
  try {
    if (existsSync(data) && existsSync(deskPath(data))) yieldAll();
  } catch {
    // What cannot be looked at is told of by the command itself, as it tells of all else.
  }
}

/** As it will be understood: the last one counts. */
function dataFolder(options: readonly string[]): string {
  let data = DATA_FOLDER;
  for (const [i, option] of options.entries()) {
    if (option.startsWith("--data=")) data = option.slice("--data=".length);
    else if (option === "--data") data = options[i + 1] ?? data;
  }
  return data;
}
