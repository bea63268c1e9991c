/** Alerts and what happened to them, for people. */
import type { ShownAlerts, ShownEvent } from "../platform/monitoring/alert-answers.ts";
import { formatTable } from "./table.ts";

type ShownAlert = ShownAlerts["alerts"][number];

interface Found {
  readonly kind: string;
  readonly subject: Readonly<Record<string, string>>;
  readonly measure: string;
  readonly value: number | null;
  readonly threshold: number | null;
}

export function alertsText({ evaluated_at, alerts, silences, sources, undelivered, trainings }: ShownAlerts): string {
  const failing = sources.filter(({ failures }) => failures > 0);
  return [
    alerts.length === 0
      ? "nothing fires"
      : formatTable(
          ["phase", "rule", "severity", "of", "measured", "since"],
          alerts.map((alert) => [
            alert.silenced ? `${alert.phase} (silent)` : alert.phase,
            alert.rule,
            alert.severity ?? "-",
            subjectOf(alert.found as unknown as Found),
            measuredOf(alert.found as unknown as Found),
            alert.since,
          ]),
        ),
    ...silences.map(({ id, rule, until, by, comment }) => {
      return `silent until ${until}: ${rule ?? "every rule"}, by ${by}${comment === "" ? "" : ` (${comment})`}: ${id}`;
    }),
    ...failing.map(({ name, failures, error }) => `${name} failed ${failures} times in a row: ${error ?? ""}`),
    ...undelivered.map(
      (one) =>
        `waits to be delivered to ${one["to"]}: ${one["event"]} of ${one["rule"]}, ${one["attempts"]} attempts${one["error"] === null ? "" : `: ${one["error"]}`}`,
    ),
    ...trainings.map(
      (one) => `training set of ${one["service"]} for ${one["rule"]}: ${one["training_set"] ?? "not begun"}`,
    ),
    ...(evaluated_at === null ? [] : [`judged at ${evaluated_at}`]),
  ].join("\n");
}

export function findingText(alert: ShownAlert): string {
  const found = alert.found as unknown as Found;
  return `${alert.phase} since ${alert.since}: ${found.kind} of ${subjectOf(found)}, ${measuredOf(found)}`;
}

export function eventsText(events: readonly ShownEvent[]): string {
  if (events.length === 0) return "nothing has happened";
  return formatTable(
    ["at", "event", "rule", "what"],
    events.map(({ at, event, rule, detail }) => [at, event, rule ?? "-", detailText(event, detail)]),
  );
}

function detailText(event: string, detail: Readonly<Record<string, unknown>>): string {
  if (event === "firing" || event === "resolved") {
    const found = detail as unknown as Found;
    return `${found.kind} of ${subjectOf(found)}, ${measuredOf(found)}`;
  }
  const { notice: _notice, found: _found, ...short } = detail;
  return Object.entries(short)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}

function subjectOf({ subject }: Found): string {
  return Object.values(subject).join(" ") || "everything";
}

function measuredOf({ measure, value, threshold }: Found): string {
  const held = threshold === null ? "" : ` (threshold ${threshold})`;
  return `${measure} ${value === null ? "-" : Number(value.toPrecision(6))}${held}`;
}
