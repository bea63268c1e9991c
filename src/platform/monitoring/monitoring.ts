/**
 * What watches a data folder for its owner, beside what is counted: alerts, from when something is served, and what models
 * report of their features.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { AlertGauges } from "../../monitor/alerts/alert-metrics.ts";
import { AlertStore } from "../../monitor/alerts/alert-store.ts";
import { ImportanceStore } from "../../monitor/importance/importance-store.ts";
import type { AlertDesk } from "../../serve/alert-desk.ts";
import type { DriftDesk } from "../../serve/drift-desk.ts";
import type { FeatureListDesk } from "../../serve/feature-list-desk.ts";
import type { ExperimentDesk } from "../../serve/experiment-desk.ts";
import type { ImportanceDesk } from "../../serve/importance-desk.ts";
import type { LetterDesk } from "../../serve/letter-desk.ts";
import type { MonitoringDesks } from "../../serve/monitoring-desks.ts";
import type { QualityPort } from "../../serve/quality-port.ts";
import type { VersionDesk } from "../../serve/version-desk.ts";
import type { TrainingDesk } from "../../serve/training-desk.ts";
import type { PlatformOptions } from "../platform-options.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { forgetAlertDetails } from "./alert-answers.ts";
import { Alerts } from "./alerts.ts";
import { askedDriftDesk } from "./asked-drift-desk.ts";
import type { DriftDesk as DriftReports } from "./drift-desk.ts";
import { featureListDesk } from "./feature-list.ts";
import { importanceDesk } from "./importances.ts";
import { setBuilder } from "./set-builder.ts";
import { type NamedSignalSource, type SignalHouse, signalSources } from "./signal-sources.ts";

/** Only what may be asked from another process. */
export function desksOf({
  alerts,
  importances,
  quality,
  drift,
  experiments,
  versions,
  features,
  letters,
}: MonitoringDesks): MonitoringDesks {
  return {
    ...(alerts === undefined ? {} : { alerts }),
    ...(importances === undefined ? {} : { importances }),
    ...(quality === undefined ? {} : { quality }),
    ...(drift === undefined ? {} : { drift }),
    ...(experiments === undefined ? {} : { experiments }),
    ...(versions === undefined ? {} : { versions }),
    ...(features === undefined ? {} : { features }),
    ...(letters === undefined ? {} : { letters }),
  };
}

export class Monitoring implements MonitoringDesks {
  readonly alerts?: AlertDesk;
  readonly importances: ImportanceDesk;
  quality?: QualityPort;
  drift?: DriftDesk;
  experiments?: ExperimentDesk;
  versions?: VersionDesk;
  letters?: LetterDesk;
  /** Writes what was counted of usage so far. */
  keepUsage?: () => Promise<void>;
  features?: FeatureListDesk;
  readonly #context: RuntimeContext;
  readonly #training: TrainingDesk | null;
  readonly #options: PlatformOptions["alerts"];
  readonly #watched: NamedSignalSource[];
  #opening: Promise<Alerts> | null = null;
  #opened: Alerts | null = null;

  constructor(
    context: RuntimeContext,
    { training, ...house }: SignalHouse & { readonly training: TrainingDesk | null },
    { alerts = {} }: Pick<PlatformOptions, "alerts">,
  ) {
    this.#context = context;
    this.#training = training;
    this.#watched = signalSources(house);
    this.#options = alerts;
    this.importances = importanceDesk(new ImportanceStore(context.dataDir), context.registry, context.clock);
    if (alerts === false) return;
    const opened = async (): Promise<Alerts> => {
      if (this.#opening !== null) return this.#opening;
      throw new OnefoldError("ALERTS_NOT_OFFERED", "alerts are judged while something is served");
    };
    this.alerts = {
      list: async () => (await opened()).list(),
      history: async (request) => (await opened()).history(request),
      silence: async (request) => (await opened()).silence(request),
      unsilence: async (id) => (await opened()).unsilence(id),
      test: async (destination) => (await opened()).test(destination),
    };
  }

  /** A part whose signals alerts ask for, and the desk that others may ask. To be told before anything is served. */
  watch(
    desk: Pick<MonitoringDesks, "quality" | "drift" | "experiments" | "versions" | "letters">,
    sources: readonly NamedSignalSource[] = [],
  ): void {
    Object.assign(this, desk);
    this.#watched.push(...sources);
  }

  /** As `watch`; and with it features can be listed by how far they are from what they were. */
  watchDrift(drift: DriftReports): void {
    const { dataDir, clock, registry } = this.#context;
    this.watch({ drift: askedDriftDesk(drift) }, [
      { name: "drift", source: drift.signals },
      // It reads a week of every view.
      { name: "folded-drift", source: drift.foldedSignals, kinds: ["folded-drift", "folded-missing-drift"] },
    ]);
    this.features = featureListDesk({ dataDir, clock, registry, drift });
  }

  /** Judges alerts from now on; a second call does nothing. */
  start(): void {
    if (this.#options === false || this.#opening !== null) return;
    this.#opening = this.#open(this.#options ?? {});
    const { onTrouble } = this.#options ?? {};
    // Whoever asks for alerts is told, too.
    this.#opening.catch((error: unknown) => onTrouble?.(error));
  }

  /** Null where no alerts are judged. */
  gauges(): AlertGauges | null {
    return this.#opened?.gauges() ?? null;
  }

  /** Takes out of what alerts keep whatever may name an entity. */
  async forgetDetails(): Promise<void> {
    const { dataDir, clock } = this.#context;
    if (this.#opening === null) return forgetAlertDetails(dataDir, clock.now());
    await (await this.#opening).forgetDetails();
  }

  async close(): Promise<void> {
    const alerts = await this.#opening?.catch(() => null);
    await alerts?.close();
  }

  async #open(options: Exclude<PlatformOptions["alerts"], false | undefined>): Promise<Alerts> {
    const { dataDir, clock, registry } = this.#context;
    const store = await AlertStore.open(dataDir, clock.now());
    const builder = setBuilder(this.#training);
    const alerts = new Alerts({ store, registry, clock, sources: this.#watched, builder }, options);
    alerts.start();
    this.#opened = alerts;
    return alerts;
  }
}
