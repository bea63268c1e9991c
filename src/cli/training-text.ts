/** What a training set has, and in how many of its rows windows began later than asked, for people. */
import type { Platform } from "../platform.ts";
import { formatCount } from "./progress.ts";
import { formatShare, formatTable } from "./table.ts";

type TrainingSet = Pick<Awaited<ReturnType<Platform["train"]>>, "rowCount" | "manifest" | "out">;

export function trainingText({ rowCount, manifest: { features }, out }: TrainingSet): string {
  const lines = [`${formatCount(rowCount)} rows, ${features.length} features: ${out}`];
  const later = features.filter(({ rowsWithLaterWindow }) => rowsWithLaterWindow > 0);
  if (later.length > 0) {
    lines.push(
      "",
      "rows whose window began later than asked, as events older than the view's exactEvents are merged:",
      formatTable(
        ["feature", "rows", "share"],
        later.map(({ name, rowsWithLaterWindow: count }) => [name, formatCount(count), formatShare(count, rowCount)]),
      ),
    );
  }
  return lines.join("\n");
}
