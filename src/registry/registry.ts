/**
 * The registry: every version of every definition that was ever applied.
 *
 * Contract:
 * - what is registered under `view@version` never changes; `apply` refuses it with `DEFINITION_CHANGED`
 *   and the difference; `view@dev` is the one exception;
 * - `apply` is atomic: a reader sees the registry before it or after it.
 */
import type { ExperimentStepAsked, RecordedStep } from "./experiment-state.ts";
import type { OnefoldError } from "../base/errors.ts";
import type { AliasMove, AskedMove } from "./alias-moves.ts";
import type { AskedRetirement, RetiredVersion } from "./retired-version.ts";
import type { CommandDefinition } from "../define/alert-definition.ts";
import type { ExperimentDefinition } from "../define/experiment-definition.ts";
import type {
  Definition,
  EntityDefinition,
  OnDemandDefinition,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
} from "../define/definition.ts";

export interface Registered<D extends Definition> {
  readonly definition: D;
  /** SHA-256 of the definition's canonical JSON and, where it has functions, of their code. */
  readonly fingerprint: string;
  /** RFC 3339 time of the `apply` that added it. */
  readonly createdAt: string;
}

export type ChangeKind = "add" | "change" | "remove" | "unchanged" | "refuse";

export interface PlannedChange {
  readonly change: ChangeKind;
  readonly kind: Definition["kind"];
  /** `name` or `name@version`. */
  readonly name: string;
  /** Readable differences, a line each: `features.mean_delay_1h.over: 1h -> 2h`. */
  readonly details: readonly string[];
  /** Where the definition stands, `file:line`, when the loader knows it. */
  readonly where?: string;
}

export interface Plan {
  readonly changes: readonly PlannedChange[];
  /** Whether applying would change anything. */
  readonly dirty: boolean;
  /** Whether apply would be refused (some change has kind "refuse"). */
  readonly refused: boolean;
}

/** What must hold for an apply to be made. */
export interface ApplyConditions {
  /** The `state` of the registry that the apply was planned on. */
  readonly onlyOver?: string;
}

/** One apply of the past. */
export interface AppliedChange {
  /** RFC 3339. */
  readonly at: string;
  readonly changes: readonly PlannedChange[];
  /** What stood in the registry before, for each definition that this apply replaced, as data. */
  readonly replaced: readonly { readonly name: string; readonly fingerprint: string; readonly definition: unknown }[];
}

/**
 * `source -> view -> on-demand -> service`, as edges from a definition to what is computed from it. Names
 * carry their kind, since a source and a service may share one: `source:arrivals`, `entity:airport`,
 * `view:origin_delays@1`, `on-demand:ratio@1`, `service:delay_model`.
 */
export interface LineageEdge {
  readonly from: string;
  readonly to: string;
}

export interface FindQuery {
  readonly kind?: Definition["kind"];
  readonly name?: string;
  readonly version?: number | "dev";
  readonly entity?: string;
  readonly tag?: string;
  readonly owner?: string;
}

export interface Registry {
  plan(definitions: readonly Definition[]): Plan;
  /**
   * Plans, refuses or writes durably; with `onlyOver`, only over the content that had this `state`. Throws
   * `DEFINITION_CHANGED`, `DEFINITION_INVALID`, `PLAN_STALE`.
   */
  apply(definitions: readonly Definition[], options?: ApplyConditions): Promise<Plan>;
  /** Of all that is registered, with its history: another one after each change. SHA-256, as hexadecimal digits. */
  state(): string;
  /**
   * Takes the draft `name@dev`, a view or an on-demand view, out of the registry, durably; its history stays.
   * Throws `VIEW_UNKNOWN`, and `DEFINITION_INVALID` where another definition is computed from it.
   */
  dropDraft(name: string): Promise<PlannedChange>;
  /**
   * Ramps an experiment, or stops it, durably. Throws `EXPERIMENT_UNKNOWN`, `EXPERIMENT_BACKWARD` where a unit would move back,
   * `EXPERIMENT_STOPPED`, `REQUEST_INVALID`.
   */
  stepExperiment(name: string, asked: ExperimentStepAsked, by: string | null): Promise<readonly RecordedStep[]>;
  /** All that an experiment was told, its first weights first. Throws `EXPERIMENT_UNKNOWN`. */
  experimentSteps(name: string): readonly RecordedStep[];
  /**
   * Points an alias at another version, durably, in one step for all who look; null where it points there already. Throws
   * what `nextMove` throws.
   */
  moveAlias(asked: AskedMove): Promise<AliasMove | null>;
  /** Every move of an alias, oldest first. */
  aliasMoves(): readonly AliasMove[];
  /**
   * Takes a version out for good, durably: its number is not given again, and its definition is kept. Throws what
   * `withoutVersion` throws.
   */
  retire(asked: AskedRetirement): Promise<RetiredVersion>;
  /** Oldest first. */
  retired(): readonly RetiredVersion[];
  /** What keeps a version from being retired, a line each, and which one that is. Throws what `versionToRetire` throws. */
  readersOf(asked: Pick<AskedRetirement, "target" | "kind">): {
    readonly definition: Definition;
    readonly readers: readonly string[];
  };
  entities(): readonly Registered<EntityDefinition>[];
  sources(): readonly Registered<SourceDefinition>[];
  /** All registered views in all versions. */
  views(): readonly Registered<ViewDefinition>[];
  onDemandViews(): readonly Registered<OnDemandDefinition>[];
  services(): readonly Registered<ServiceDefinition>[];
  experiments(): readonly Registered<ExperimentDefinition>[];
  /** These throw `..._UNKNOWN` with the nearest names as candidates. */
  entity(name: string): Registered<EntityDefinition>;
  source(name: string): Registered<SourceDefinition>;
  /**
   * `name`, `name@2`, `name@dev`, `name@prod` or `name@latest`. A name alone means what the alias `prod` names, and the highest
   * number where it is not set. Throws `ALIAS_UNKNOWN`, too.
   */
  view(name: string, version?: number | "dev"): Registered<ViewDefinition>;
  /** The same. */
  service(name: string): Registered<ServiceDefinition>;
  experiment(name: string): Registered<ExperimentDefinition>;
  /** A service's definition of this fingerprint, the present one or one that was replaced; null where there is none. */
  serviceOfFingerprint(fingerprint: string): ServiceDefinition | null;
  /** Throws `ENTITY_UNKNOWN`. */
  find(query: FindQuery): readonly Registered<Definition>[];
  lineage(): readonly LineageEdge[];
  /**
   * Hands over the functions and fingerprints of loaded definitions, without registering anything. `apply`
   * does it by itself; a process that only serves calls this once after it opened the registry.
   */
  attachCode(definitions: readonly Definition[]): void;
  /**
   * Why the registered definition must not be computed with what this process has loaded: a definition of
   * this name and version was loaded whose fingerprint differs, or it has functions, or runs a program, and was not loaded.
   * A `FINGERPRINT_MISMATCH`, or null when all is well.
   */
  codeProblem(
    definition: ViewDefinition | OnDemandDefinition | ServiceDefinition | CommandDefinition,
  ): OnefoldError | null;
  /** Whether a definition of this kind, name and version was loaded, whatever its code. */
  isLoaded(definition: Definition): boolean;
  /** Every apply that changed something, oldest first. */
  history(): readonly AppliedChange[];
}
