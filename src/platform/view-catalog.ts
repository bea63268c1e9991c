/**
 * The views this process can compute: each registered definition with the fold its loaded code compiles to.
 */
import {
  type Definition,
  type EntityDefinition,
  formatViewName,
  type SourceDefinition,
  type ViewDefinition,
} from "../define/definition.ts";
import { compileViewFold } from "../fold/compile.ts";
import type { ViewFold } from "../fold/view-fold.ts";
import type { Registered, Registry } from "../registry/registry.ts";
import { registryOfAnyTime } from "../registry/registry-of-any-time.ts";

export interface CatalogView {
  /** `view@version`. */
  readonly name: string;
  readonly definition: ViewDefinition;
  readonly entity: EntityDefinition;
  readonly source: SourceDefinition;
  readonly fingerprint: string;
  readonly fold: ViewFold;
}

export class ViewCatalog {
  readonly #registry: Registry;
  readonly #compiled = new Map<string, CatalogView>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /**
   * Compiles the views among `definitions`, over sources and entities that are given with them or registered:
   * what only the fold finds wrong is found before anything is registered. Throws `DEFINITION_INVALID`.
   */
  check(definitions: readonly Definition[]): void {
    for (const view of definitions) {
      if (view.kind !== "view") continue;
      const source = definitions.find(
        (one): one is SourceDefinition => (one.kind === "stream" || one.kind === "batch") && one.name === view.source,
      );
      const entity = definitions.find(
        (one): one is EntityDefinition => one.kind === "entity" && one.name === view.entity,
      );
      compileViewFold(
        view,
        source ?? this.#registry.source(view.source).definition,
        entity ?? this.#registry.entity(view.entity).definition,
      );
    }
  }

  /** Compiled once per registered definition. Throws `VIEW_UNKNOWN`, and `FINGERPRINT_MISMATCH` for other code. */
  view(name: string, version?: number | "dev"): CatalogView {
    return this.#compiledOf(this.#registry.view(name, version));
  }

  /** Also of a version that was retired: nothing folds it, but what it gave can be computed again. Throws as `view`. */
  viewOfAnyTime(name: string, version: number | "dev"): CatalogView {
    return this.#compiledOf(registryOfAnyTime(this.#registry).view(name, version));
  }

  #compiledOf(registered: Registered<ViewDefinition>): CatalogView {
    const problem = this.#registry.codeProblem(registered.definition);
    if (problem !== null) throw problem;
    const key = formatViewName(registered.definition);
    const known = this.#compiled.get(key);
    if (known !== undefined && this.#isCurrent(known, registered)) return known;
    const compiled = this.#compile(key, registered);
    this.#compiled.set(key, compiled);
    return compiled;
  }

  /** Views on a source that are to be folded (served online or written offline) and that this process has the code of. */
  computableOn(source: string): CatalogView[] {
    return this.#registry
      .views()
      .filter(({ definition }) => definition.source === source && (definition.online || definition.offline))
      .filter(({ definition }) => this.#registry.codeProblem(definition) === null)
      .map(({ definition }) => this.view(definition.name, definition.version));
  }

  /** A source gains columns without its views changing: their folds then read rows of another shape. */
  #isCurrent(known: CatalogView, registered: Registered<ViewDefinition>): boolean {
    return (
      known.definition === registered.definition &&
      known.source === this.#registry.source(registered.definition.source).definition &&
      known.entity === this.#registry.entity(registered.definition.entity).definition
    );
  }

  #compile(name: string, { definition, fingerprint }: Registered<ViewDefinition>): CatalogView {
    const source = this.#registry.source(definition.source).definition;
    const entity = this.#registry.entity(definition.entity).definition;
    return { name, definition, entity, source, fingerprint, fold: compileViewFold(definition, source, entity) };
  }
}
