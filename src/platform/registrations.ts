/**
 * Changes of what is registered, one after the other, whoever makes them: an apply or a drop of this process, or
 * what another server has registered. After each the sources fold what is registered now.
 *
 * Where servers share the registry, one that does not own a data folder registers all the same: those that do build
 * the views when they take it up.
 */
import { TurnQueue } from "../base/turn-queue.ts";
import type { Definition } from "../define/definition.ts";
import type { AliasMove, AskedMove } from "../registry/alias-moves.ts";
import type { AskedRetirement, RetiredVersion } from "../registry/retired-version.ts";
import type { ExperimentStepAsked } from "../registry/experiment-state.ts";
import type { ApplyConditions, Plan, PlannedChange } from "../registry/registry.ts";
import type { SharedRegistry } from "../registry/stored-registry.ts";
import type { OnProgress } from "./runtime-context.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";

/** Code of definitions, or where to get it: asked again whenever another server has registered something. */
export type DefinitionCode = readonly Definition[] | (() => Promise<readonly Definition[]>);

export interface ApplyOptions extends ApplyConditions {
  readonly onProgress?: OnProgress;
}

export interface RegistrationsOptions {
  readonly registry: SharedRegistry;
  readonly code: DefinitionCode;
  /** Null where this process folds nothing. */
  readonly sources: SourceRuntimes | null;
  /** Throws where they cannot be registered, though their plan does not refuse them. */
  check(definitions: readonly Definition[]): void;
  /** Called once what is registered is another, before its views are built. */
  onRegistered(): void;
  /** Called when they are built, or could not be. */
  onBuilt(): Promise<void>;
}

export class Registrations {
  readonly #options: RegistrationsOptions;
  readonly #turns = new TurnQueue();
  /** What was taken up before was not taken up to its end. */
  #isUnfinished = false;

  constructor(options: RegistrationsOptions) {
    this.#options = options;
  }

  /** The code as it is now. */
  static loaded(code: DefinitionCode): Promise<readonly Definition[]> {
    return typeof code === "function" ? code() : Promise.resolve(code);
  }

  apply(definitions: readonly Definition[], options: ApplyOptions = {}): Promise<Plan> {
    const { onProgress, ...conditions } = options;
    return this.#turns.take(async () => {
      const { registry, check } = this.#options;
      // Of what others have registered meanwhile they may be made.
      if (await registry.isBehind()) await this.#takeUp();
      registry.plan(definitions);
      check(definitions);
      const plan = await registry.apply(definitions, conditions);
      await this.#build(onProgress);
      return plan;
    });
  }

  dropDraft(name: string): Promise<PlannedChange> {
    return this.#turns.take(async () => {
      const change = await this.#options.registry.dropDraft(name);
      await this.#build();
      return change;
    });
  }

  /** Ramps an experiment, or stops it. What others have asked for meanwhile counts. Throws as `Registry.stepExperiment`. */
  stepExperiment(name: string, asked: ExperimentStepAsked, by: string | null): Promise<void> {
    return this.#turns.take(async () => {
      const { registry } = this.#options;
      if (await registry.isBehind()) await this.#takeUp();
      await registry.stepExperiment(name, asked, by);
      await this.#build();
    });
  }

  /** What others have moved meanwhile counts. */
  moveAlias(asked: AskedMove): Promise<AliasMove | null> {
    return this.#turns.take(async () => {
      const { registry } = this.#options;
      if (await registry.isBehind()) await this.#takeUp();
      const move = await registry.moveAlias(asked);
      await this.#build();
      return move;
    });
  }

  /** Takes a version out; its states and its table are gone once it resolves, where this process folds. */
  retire(asked: AskedRetirement): Promise<RetiredVersion> {
    return this.#turns.take(async () => {
      const { registry } = this.#options;
      if (await registry.isBehind()) await this.#takeUp();
      const retired = await registry.retire(asked);
      await this.#build();
      return retired;
    });
  }

  /** Whether there is something to take up. Throws what the database fails with. */
  async isBehind(): Promise<boolean> {
    return this.#isUnfinished || (await this.#options.registry.isBehind());
  }

  /**
   * Takes up what other servers have registered, in one step for all who look, and builds its views. Where the code
   * cannot be loaded, goes on with what there is, and throws why.
   */
  takeUp(): Promise<void> {
    return this.#turns.take(async () => {
      const failure = await this.#takeUp();
      if (failure !== null) throw failure;
    });
  }

  /** Why the code could not be loaded, or null. */
  async #takeUp(): Promise<unknown> {
    const { registry, code } = this.#options;
    const isMore = await registry.isBehind();
    let loaded: readonly Definition[] | null = null;
    let failure: unknown = null;
    try {
      if (typeof code === "function") loaded = await code();
    } catch (error) {
      failure = error;
    }
    if (isMore || loaded !== null) {
      this.#isUnfinished = true;
      await registry.reload(loaded);
      await this.#build();
    }
    this.#isUnfinished = failure !== null;
    return failure;
  }

  async #build(onProgress?: OnProgress): Promise<void> {
    const { sources, onRegistered, onBuilt } = this.#options;
    onRegistered();
    try {
      await sources?.refresh(onProgress);
    } finally {
      await onBuilt();
    }
  }
}
