/**
 * Whether a server's code is the one that was registered, as `GET /ready` tells it.
 *
 *     not ready    what the server could not answer from its very start, if a name alone means it, and no apply of what it has
 *                  loaded would cure that: it was started with the wrong definitions, and a rollout is to halt
 *     a warning    all else: what was registered later elsewhere, so that who applies beside running servers takes none of them
 *                  away; versions that have to be asked for; drafts, and a service's only version, which an apply redefines,
 *                  so that servers may be given the new code before it is applied
 *
 * Where several servers share the registry, so may several projects: there code that is missing is a warning on a server
 * that has some of the registered definitions, as it may be another project's. A worker process leaves it to the owner, too:
 * it may be started anew long after the server. A server never becomes less ready than at its start.
 */
import { type CodeTrouble, codeTroubles } from "../registry/code-troubles.ts";
import type { Registry } from "../registry/registry.ts";

export interface CodeCheckOptions {
  /** Another number whenever something is registered or loaded. */
  revision(): number;
  /** Where missing code is a warning: nowhere, on a server that has some of what is registered, or always. */
  readonly mayLack: "never" | "others" | "always";
}

interface Checked {
  readonly revision: number;
  readonly troubles: readonly CodeTrouble[];
}

export class CodeCheck {
  readonly #registry: Registry;
  readonly #options: CodeCheckOptions;
  /** Keys of what keeps it from being ready, unless that was cured since. */
  readonly #atStart: ReadonlySet<string>;
  #checked: Checked;

  /** At the server's start, once its code is loaded. */
  constructor(registry: Registry, options: CodeCheckOptions) {
    this.#registry = registry;
    this.#options = options;
    this.#checked = { revision: options.revision(), troubles: codeTroubles(registry) };
    const hasSome = (): boolean => registry.find({}).some(({ definition }) => registry.isLoaded(definition));
    const mayLack = options.mayLack === "always" || (options.mayLack === "others" && hasSome());
    const blocking = this.#checked.troubles.filter(
      ({ isMeant, isAbsent, isCuredByApply }) => isMeant && !isCuredByApply && !(isAbsent && mayLack),
    );
    this.#atStart = new Set(blocking.map(({ key }) => key));
  }

  /** Why it is not ready, a sentence each. */
  get refused(): readonly string[] {
    return this.#troubles.filter((one) => this.#isBlocking(one)).map(({ text }) => text);
  }

  /** The same of what it serves in spite of, with what to do. */
  get warnings(): readonly string[] {
    return this.#troubles
      .filter((one) => !this.#isBlocking(one))
      .map(({ text, hint }) => (hint === null ? text : `${text}; ${hint}`));
  }

  get #troubles(): readonly CodeTrouble[] {
    const revision = this.#options.revision();
    if (revision !== this.#checked.revision) {
      this.#checked = { revision, troubles: codeTroubles(this.#registry) };
    }
    return this.#checked.troubles;
  }

  #isBlocking({ key, isMeant, isCuredByApply }: CodeTrouble): boolean {
    return isMeant && !isCuredByApply && this.#atStart.has(key);
  }
}
