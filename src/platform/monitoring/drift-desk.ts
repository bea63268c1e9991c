/**
 * Drift as it is asked for: reports, the baseline that is chosen for a service, and signals.
 */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { OnefoldError } from "../../base/errors.ts";
import type { Micros } from "../../base/micros.ts";
import { referenceOfId, serviceId } from "../../define/service-version.ts";
import type { DriftSettings } from "../../monitor/drift/choose-measure.ts";
import { driftReport, type DriftReport, type DriftSide } from "../../monitor/drift/drift-report.ts";
import type { SignalSource } from "../../monitor/signal.ts";
import { forgetDrift } from "../forget/forget-drift.ts";
import { type DriftSource, parseDriftSource } from "./drift-source.ts";
import { type DriftHouse, driftSide } from "./drift-values.ts";
import { BASELINE_MICROS, HourlyDrift, WEEK_BEFORE } from "./hourly-drift.ts";

export type { DriftSettings } from "../../monitor/drift/choose-measure.ts";
export type { DriftReport, DriftSide } from "../../monitor/drift/drift-report.ts";

export interface DriftOptions {
  /** As it may be asked for. */
  readonly service: string;
  /**
   * `training:ID`, `file:PATH`, `range:A..B`, `last:24h`, `folded:A..B`, `fit:N`, `chosen`. Default: the one that was
   * chosen, else what was served in the week before the current values.
   */
  readonly baseline?: string;
  /** The same. Default `last:24h`. */
  readonly current?: string;
  /** What times name, on both sides: vectors that were served (the default), or values that were folded. */
  readonly of?: "served" | "folded";
  /** Counts every value that is kept, instead of sketches of them: of served ones those in the serving log, of folded ones feature rows. */
  readonly exact?: boolean;
  readonly settings?: DriftSettings;
}

const CURRENT = "last:24h";

async function refuseUnreadable(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (cause) {
    throw new OnefoldError("FILE_UNREADABLE", `${path} cannot be opened`, { where: path, cause });
  }
}

export class DriftDesk {
  readonly #house: DriftHouse;
  readonly #flush: (exact: boolean) => Promise<void>;
  readonly #served: HourlyDrift;
  readonly #folded: HourlyDrift;

  /** `flush`: writes what was seen so far, where this process serves; for an exact report, all that is kept of it. */
  constructor(house: DriftHouse, flush: (exact: boolean) => Promise<void>) {
    this.#house = house;
    this.#flush = flush;
    this.#served = new HourlyDrift(house.windows, "served", (service) => house.windows.readBaseline(service));
    this.#folded = new HourlyDrift(house.folded, "folded");
  }

  /** References of the services of which served values are kept, `fraud@1`, in their order. */
  async services(): Promise<string[]> {
    return (await this.#house.windows.services()).map(referenceOfId);
  }

  /**
   * Throws `SERVICE_UNKNOWN`, `VALUES_MISSING` where a side has none, `REQUEST_INVALID` for a side that is not understood
   * or a measure that does not fit, and what reading a side throws.
   */
  async report(options: DriftOptions): Promise<DriftReport> {
    const { exact = false, settings = {}, of = "served" } = options;
    const { clock } = this.#house.context;
    const service = this.#idOf(options.service);
    await this.#flush(exact);
    const now = clock.now();
    const currentText = options.current ?? CURRENT;
    const currentSource = parseDriftSource(currentText, now);
    const baselineOf = () => this.#baseline({ ...options, service }, currentSource, now);
    // What was asked for is looked for first: where nothing was served, what is wrong with it would not be told.
    const asked = options.baseline === undefined ? null : await baselineOf();
    const current = await driftSide(this.#house, currentSource, { service, text: currentText, exact, of });
    const baseline = asked ?? (await baselineOf());
    return driftReport(baseline, current, settings, now);
  }

  /** Throws what `report` throws of sides whatever the service: those not understood, files that cannot be read. */
  async checkSides({ baseline, current }: Pick<DriftOptions, "baseline" | "current">): Promise<void> {
    for (const text of [baseline, current]) {
      if (text === undefined) continue;
      const source = parseDriftSource(text, this.#house.context.clock.now());
      if (source.kind === "file") await refuseUnreadable(source.path);
    }
  }

  /** What current values are compared with from now on, as a sketch. Throws as `report`. */
  async choose(name: string, source: string): Promise<DriftSide> {
    const now = this.#house.context.clock.now();
    const service = this.#idOf(name);
    await this.#flush(false);
    const request = { service, text: source, exact: false, of: "served" } as const;
    const side = await driftSide(this.#house, parseDriftSource(source, now), request);
    await this.#house.windows.writeBaseline(service, { source, chosenMicros: now, window: side.window });
    return side;
  }

  /** Goes back to comparing with the week before. Throws `SERVICE_UNKNOWN`. */
  async forgetChosen(name: string): Promise<void> {
    await this.#house.windows.removeBaseline(this.#idOf(name));
  }

  #idOf(name: string): string {
    return serviceId(this.#house.ports.registry.service(name).definition);
  }

  /** Removes the sketches that an entity may have part in. */
  async forget(entity: string): Promise<void> {
    await this.#flush(false);
    this.#served.clear();
    this.#folded.clear();
    await forgetDrift(this.#house, this.#house.ports.registry, entity);
  }

  /** Of the last whole hour of every service: what was served in it, against the chosen baseline or the week before. */
  get signals(): SignalSource {
    return this.#served;
  }

  /** The same of every view: what was folded in it, against the week before. */
  get foldedSignals(): SignalSource {
    return this.#folded;
  }

  async #baseline(options: DriftOptions, current: DriftSource, now: Micros): Promise<DriftSide> {
    const { service, exact = false, baseline, of = "served" } = options;
    if (baseline !== undefined) {
      return driftSide(this.#house, parseDriftSource(baseline, now), { service, text: baseline, exact, of });
    }
    // The chosen one stands for what is served.
    const chosen = of === "folded" ? null : await this.#house.windows.readBaseline(service);
    if (chosen !== null) return { source: chosen.source, isExact: false, window: chosen.window };
    const untilMicros = current.kind === "served" ? current.fromMicros : now;
    const range = { kind: "served" as const, fromMicros: untilMicros - BASELINE_MICROS, untilMicros };
    return driftSide(this.#house, range, { service, text: WEEK_BEFORE, exact, of });
  }
}
