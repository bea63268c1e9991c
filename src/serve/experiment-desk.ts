/** Experiments as they are listed, ramped and stopped: plain data, so that another process may ask. Names are those of the wire. */

export interface ShownExperiment {
  readonly name: string;
  readonly unit: { readonly from: "entity" | "request"; readonly name: string };
  readonly salt: string;
  /** Share of the units whose answers go to the serving log. */
  readonly exposures: number;
  readonly variants: readonly {
    readonly variant: string;
    /** Of all units, without overrides. */
    readonly share: number;
  }[];
  /** Points of 2^53 that a unit may have, and which variant those in `[from, to)` are served: what other languages assign by. */
  readonly layout: readonly { readonly from: number; readonly to: number; readonly variant: string }[];
  readonly overrides: readonly { readonly unit: string; readonly variant: string }[];
  readonly shadow: { readonly service: string; readonly share: number } | null;
  /** The first weights first. */
  readonly steps: readonly ShownStep[];
}

export interface ShownStep {
  /** RFC 3339. */
  readonly at: string;
  readonly by: string | null;
  readonly weights?: readonly number[];
  /** In place of weights: the version that all units are served from then on. */
  readonly stopped?: string;
}

export interface ShownComparisons {
  readonly experiment: string;
  readonly shadow: string;
  /** One for each version that was served. */
  readonly comparisons: readonly object[];
}

/** All of it may be asked from another process. */
export interface ExperimentDesk {
  list(): Promise<readonly ShownExperiment[]>;
  /** Throws `EXPERIMENT_UNKNOWN`, as the next. */
  show(name: string): Promise<ShownExperiment>;
  /** Durable once it resolves. Throws `EXPERIMENT_BACKWARD`, `EXPERIMENT_STOPPED`, `REQUEST_INVALID`, `STORAGE_FAILED`. */
  ramp(
    name: string,
    asked: { readonly weights: readonly number[]; readonly by: string | null },
  ): Promise<ShownExperiment>;
  /** All units are served one of its versions from then on. Throws as `ramp`; stopped at that version already, it stays as it is. */
  stop(name: string, asked: { readonly serve: string; readonly by: string | null }): Promise<ShownExperiment>;
  /** What its shadow would have said, held against what was served (docs/experiments.md). Throws `VALUES_MISSING` where it has none. */
  compare(name: string): Promise<ShownComparisons>;
  /** Takes what another process saw of shadows. */
  took(news: readonly object[]): Promise<null>;
}
