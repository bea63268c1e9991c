/** What computing a view from history takes, for people. */
import type { BackfillCost } from "../platform.ts";
import { formatCount } from "./progress.ts";

export function costText(name: string, cost: BackfillCost): string {
  const { events, readBytes, entities, isApproximate, stateBytes, seconds, trialEntities } = cost;
  if (events === 0) return `${name}: there are no events to compute it from`;
  return [
    `${name}: ${formatCount(events)} events of ${isApproximate ? "about " : ""}${formatCount(entities)} entities, ${formatMegabytes(readBytes)} to read`,
    `about ${formatMegabytes(stateBytes)} of states and ${Math.max(1, Math.round(seconds))} s with nothing else going on (tried on ${formatCount(trialEntities)} entities)`,
  ].join("\n");
}

export function formatMegabytes(bytes: number): string {
  return bytes < 10e6 ? `${(bytes / 1e6).toFixed(2)} MB` : `${formatCount(Math.round(bytes / 1e6))} MB`;
}
