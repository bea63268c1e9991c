/**
 * Changes of what is registered, whoever makes them: this process, or another server.
 *
 *     apply, drop, retire   registered and built one after the other, as building may take hours
 *     moves and steps       move nothing that is folded: made at once, whatever is being built
 *     news of others        read at once; what they call for is built in its turn among applies
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
  /** Called when they are built, or could not be; and at once where nothing is to be built first. */
  onBuilt(): Promise<void>;
}

export class Registrations {
  readonly #options: RegistrationsOptions;
  /** Of what is built. */
  readonly #turns = new TurnQueue();
  /** Of reading what others have registered. */
  readonly #news = new TurnQueue();
  /** What was taken up before was not taken up to its end. */
  #isUnfinished = false;
  #isBuildQueued = false;
  /** Why what others have registered could not be built, until it is; or null. */
  #buildFailure: unknown = null;

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
  async stepExperiment(name: string, asked: ExperimentStepAsked, by: string | null): Promise<void> {
    await this.#atOnce((registry) => registry.stepExperiment(name, asked, by));
  }

  /** What others have moved meanwhile counts. */
  moveAlias(asked: AskedMove): Promise<AliasMove | null> {
    return this.#atOnce((registry) => registry.moveAlias(asked));
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
    return this.#isUnfinished || this.#buildFailure !== null || (await this.#options.registry.isBehind());
  }

  /**
   * Takes up what other servers have registered, in one step for all who look; its views are built behind that. Where
   * the code cannot be loaded, goes on with what there is, and throws why; and what building failed with the last time, which is
   * tried again.
   */
  async takeUp(): Promise<void> {
    const isNews = this.#isUnfinished || (await this.#options.registry.isBehind());
    const failure = isNews ? await this.#takeUp() : null;
    if (this.#buildFailure !== null) this.#buildSoon();
    if (failure !== null || this.#buildFailure !== null) throw failure ?? this.#buildFailure;
  }

  /** Why the code could not be loaded, or null. */
  #takeUp(): Promise<unknown> {
    return this.#news.take(async () => {
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
        this.#buildSoon();
        await this.#tell();
      }
      this.#isUnfinished = failure !== null;
      return failure;
    });
  }

  /** A change that nothing is built for. */
  async #atOnce<T>(change: (registry: SharedRegistry) => Promise<T>): Promise<T> {
    const { registry } = this.#options;
    if (await registry.isBehind()) await this.#takeUp();
    const before = new Set(registry.find({}).map(({ definition }) => definition));
    const done = await change(registry);
    // What another has registered in between came with it.
    if (registry.find({}).some(({ definition }) => !before.has(definition))) {
      this.#isUnfinished = true;
      this.#buildSoon();
    }
    await this.#tell();
    return done;
  }

  async #tell(): Promise<void> {
    this.#options.onRegistered();
    await this.#options.onBuilt();
  }

  /** In its turn, once for all that comes until then. */
  #buildSoon(): void {
    if (this.#isBuildQueued) return;
    this.#isBuildQueued = true;
    const built = this.#turns.take(() => {
      this.#isBuildQueued = false;
      return this.#build();
    });
    void built.then(
      () => (this.#buildFailure = null),
      (error: unknown) => (this.#buildFailure = error),
    );
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
