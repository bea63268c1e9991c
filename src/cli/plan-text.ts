/** A reviewed plan for people: the changes with what each breaks, then what is computed, what is left, what has drifted. */
import type { PlannedBackfill, PlannedRewrite, ReviewedPlan } from "../platform/reviewed-plan.ts";
import type { Broken, NotInCode, ReviewedChange } from "../registry/plan-review.ts";
import { formatChanges } from "./change-text.ts";
import { costText, formatMegabytes } from "./cost-text.ts";
import { formatCount } from "./progress.ts";

export function planText(plan: ReviewedPlan): string {
  const changes = plan.changes.filter(({ change }) => change !== "unchanged");
  return [
    changes.length === 0 ? "nothing to change" : changes.map(changeText).join("\n"),
    section("computed from history:", backfillTexts(plan.backfills)),
    section("written anew, while pushes wait:", plan.rewrites.map(rewriteText)),
    section("retired, and still in the code:", plan.changes.filter(isRetired).map(retiredText)),
    section("registered, and not in the code; apply leaves them as they are:", plan.removed.map(removedText)),
    section(
      "drifted:",
      plan.drift.map(({ name, message }) => `${name}: ${message}`),
    ),
    ...(changes.length === 0 ? [] : [totals(plan)]),
  ]
    .filter((text) => text !== "")
    .join("\n");
}

/** What is unchanged has something to say only where it was retired. */
function isRetired({ change, details }: ReviewedChange): boolean {
  return change === "unchanged" && details.length > 0;
}

function retiredText({ kind, name, details }: ReviewedChange): string {
  return `${kind} ${name}: ${details.join("; ")}`;
}

function changeText(change: ReviewedChange): string {
  const when = change.lastAppliedAt === undefined ? [] : [`    last applied ${change.lastAppliedAt}`];
  return [formatChanges([change]), ...when, ...change.breaks.map((broken) => `    ${brokenText(broken)}`)].join("\n");
}

export function brokenText({ effect, kind, name, why }: Broken): string {
  return `${effect === "stops" ? "breaks" : "changes"} ${kind} ${name}: ${why}`;
}

/** Views whose costs are unknown for one reason stand together. */
function backfillTexts(backfills: readonly PlannedBackfill[]): string[] {
  const unknown = new Map<string, string[]>();
  for (const { view, why, cost, note } of backfills) {
    if (cost !== null) continue;
    const reason = `as ${why}: cost unknown: ${note}`;
    unknown.set(reason, [...(unknown.get(reason) ?? []), view]);
  }
  return [
    ...[...unknown].map(([reason, views]) => `${views.join(", ")}, ${reason}`),
    ...backfills.flatMap(({ view, why, cost }) =>
      cost === null ? [] : [costText(`${view}, as ${why}`, cost).replaceAll("\n", "\n    ")],
    ),
  ];
}

function rewriteText({ table, rows, bytes, files }: PlannedRewrite): string {
  return `table ${table}: ${formatCount(rows)} rows, ${formatMegabytes(bytes)} in ${formatCount(files)} files`;
}

function removedText({ kind, name, registeredAt, readBy }: NotInCode): string {
  const readers = readBy.length === 0 ? "read by nothing that is registered" : `read by ${readBy.join(", ")}`;
  return `- ${kind} ${name}, registered ${registeredAt}, ${readers}`;
}

function totals({ changes, removed, breaking }: ReviewedPlan): string {
  const count = (kind: ReviewedChange["change"]): number => changes.filter(({ change }) => change === kind).length;
  const refused = count("refuse") === 0 ? "" : `, ${count("refuse")} refused`;
  const left = removed.length === 0 ? "" : `, ${removed.length} not in the code`;
  return `${count("add")} to add, ${count("change")} to change${refused}${left}${breaking ? "; it breaks what is in use" : ""}`;
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : [title, ...lines.map((line) => `  ${line}`)].join("\n");
}
