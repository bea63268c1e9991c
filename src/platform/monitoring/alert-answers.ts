/**
 * Alerts for whoever is not the server: what its owner has stored, a trial of a destination, and calls of a desk by name.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { OnefoldError } from "../../base/errors.ts";
import { parseMicros } from "../../base/micros.ts";
import { alertFolder, readAlertContent, readAlertHistory } from "../../monitor/alerts/alert-store.ts";
import { ImportanceStore } from "../../monitor/importance/importance-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { HistoryRequest, ShownAlerts, ShownEvent } from "../../serve/alert-desk.ts";
import type { ShownImportances } from "../../serve/importance-desk.ts";
import type { MonitoringDesks } from "../../serve/monitoring-desks.ts";
import { destinationsOf, rulesOf, sendTest } from "./alerts.ts";
import { shownAlerts, shownEvent } from "./shown-alerts.ts";

export type { ShownAlerts, ShownEvent, ShownImportances };
export type { ShownSilence } from "../../serve/alert-desk.ts";

/** A call of one of the desks that a process has, asked by name. */
export async function askMonitoring(
  desks: MonitoringDesks,
  asked: { readonly desk: keyof MonitoringDesks; readonly call: string; readonly given: readonly unknown[] },
): Promise<unknown> {
  const desk = desks[asked.desk] as unknown as Readonly<
    Record<string, ((...given: readonly unknown[]) => Promise<unknown>) | undefined>
  >;
  const call = desk?.[asked.call];
  if (call !== undefined) return call.apply(desk, [...asked.given]);
  throw new OnefoldError("ALERTS_NOT_OFFERED", "this server judges no alerts", {
    hint: "start it without --no-alerts",
  });
}

/** As stored last, for whoever finds no server to ask. */
export async function storedAlerts(dataDir: string, registry: Registry, clock: Clock): Promise<ShownAlerts> {
  const { content } = await readAlertContent(dataDir);
  return shownAlerts(content, rulesOf(registry), { evaluatedMicros: null, sources: [], nowMicros: clock.now() });
}

export async function storedHistory(dataDir: string, request: HistoryRequest): Promise<readonly ShownEvent[]> {
  const { sequence } = await readAlertContent(dataDir);
  const { since, limit = 100, ...filters } = request;
  const entries = await readAlertHistory(alertFolder(dataDir), sequence, {
    ...filters,
    ...(since === undefined ? {} : { sinceMicros: parseMicros(since) }),
    limit,
  });
  return entries.map(shownEvent);
}

/** From this process. Throws `DEFINITION_UNKNOWN`, `DELIVERY_FAILED`. */
export function tryDestination(
  registry: Registry,
  name: string,
): Promise<{ readonly delivered: true; readonly notice_id: string }> {
  const house = { fetch, environment: (variable: string) => process.env[variable], now: () => systemClock.now() };
  return sendTest(destinationsOf(registry), name, house);
}

/** What models have reported of a service, the newest first. */
export async function storedImportances(dataDir: string, service: string): Promise<readonly ShownImportances[]> {
  const reports = await new ImportanceStore(dataDir).of(service);
  return reports.map((report) => ({ service, ...report }));
}
