/**
 * What training, audit and explain need from the rest of the house; the composition root fills it in.
 */
import type { Clock } from "../base/clock.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import type { ViewFold } from "../fold/view-fold.ts";
import type { EngineSettings, QueryEngine } from "../offline-store/engine.ts";
import type { EventArchive } from "../offline-store/event-archive.ts";
import type { FitStore } from "../registry/fitted-service.ts";
import type { Registry } from "../registry/registry.ts";

/** A registered view with the fold that its loaded code compiles to. */
export interface TrainingView {
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
  readonly source: SourceDefinition;
  /** Fingerprint it is registered under; the loaded code has the same. */
  readonly fingerprint: string;
  readonly fold: ViewFold;
}

export interface TrainingPorts {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly fits: FitStore;
  /** Compiled once and kept. Throws `VIEW_UNKNOWN`, and `FINGERPRINT_MISMATCH` where loaded code is not the registered. */
  view(name: string, version: number | "dev"): TrainingView;
  /**
   * The source's archive, brought up to the end of its log first where this process owns the log.
   * Throws `SOURCE_UNKNOWN`.
   */
  archive(source: string): Promise<Pick<EventArchive, "files">>;
  /**
   * Time up to which the source's log is closed: no event can any more become known at or before it.
   * null where this process cannot tell; the known time of the last archived event then stands for it.
   */
  closedUpTo(source: string): number | null;
  /**
   * Time up to which what is in the log below an offset is all that will ever be known, as it is stored for whoever does not own
   * the log; null where nothing is.
   */
  completeUpTo(source: string): Promise<{ readonly upTo: number; readonly position: number } | null>;
  /** A fresh engine with a catalog of its own, by default with the platform's limits. The caller closes it. */
  openEngine(settings?: EngineSettings): Promise<QueryEngine>;
}
