/** Changes of definitions for people: a sign, what it is, where it stands, and the differences below it. */
import { relative } from "node:path";
import type { PlannedChange } from "../registry/registry.ts";

const SIGNS: Readonly<Record<PlannedChange["change"], string>> = {
  add: "+",
  change: "~",
  remove: "-",
  unchanged: " ",
  refuse: "!",
};

/** What is unchanged is left out. */
export function formatChanges(changes: readonly PlannedChange[]): string {
  return changes
    .filter((change) => change.change !== "unchanged")
    .map(({ change, kind, name, details, where }) =>
      [
        `${SIGNS[change]} ${kind} ${name}${where === undefined ? "" : `  (${relative(process.cwd(), where)})`}`,
        ...(change === "refuse" ? ["    refused: what is registered never changes; give it the next version"] : []),
        ...details.map((detail) => `    ${detail}`),
      ].join("\n"),
    )
    .join("\n");
}
