/** A cycle of `onefold dev` for people: what changed, what is to be known, and a table a view. */
import { formatChanges } from "./change-text.ts";
import type { AppliedDrafts, DevCycle, DevView } from "./dev-session.ts";
import { errorLines } from "./output.ts";
import { formatPreview } from "./preview-text.ts";
import { formatCount } from "./progress.ts";

export function formatCycle(cycle: DevCycle): string {
  const { changes, notes, views } = cycle;
  return [
    changes.length === 0 ? "no definition changed" : formatChanges(changes),
    ...notes.map((note) => `note: ${note}`),
    ...views.map((view) => `\n${formatView(view)}`),
    `\n${formatSeconds(cycle.elapsedMs)} in all`,
  ].join("\n");
}

export function formatDrafts({ applied, waiting, elapsedMs }: AppliedDrafts): string {
  return [
    ...(applied.length === 0 ? [] : [`applied ${applied.join(", ")} in ${formatSeconds(elapsedMs)}`]),
    ...Object.entries(waiting).map(([draft, why]) => `note: ${draft} is not applied: ${why}`),
  ].join("\n");
}

function formatView({ view, preview, error, elapsedMs }: DevView): string {
  if (preview === undefined) return `${view}: ${errorLines(error).join("\n")}`;
  const { rows, eventsFolded, asOf } = preview;
  const changed = rows.reduce((sum, row) => sum + Object.keys(row.before ?? {}).length, 0);
  const facts = [
    `${rows.length} entities`,
    `${formatCount(eventsFolded)} events`,
    ...(asOf === null ? [] : [`as of ${asOf}`]),
    ...(changed === 0 ? [] : [`${changed} values changed`]),
    formatSeconds(elapsedMs),
  ];
  return `${view}: ${facts.join(", ")}\n${formatPreview(preview)}`;
}

function formatSeconds(millis: number): string {
  return `${(millis / 1000).toFixed(2)} s`;
}
