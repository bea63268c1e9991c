/**
 * Views in whose place a fallback is served, because what they promise of their freshness is broken. One object a view for
 * as long as the process lives: whoever serves the view looks at it at each read.
 */
import type { Fallback } from "../../define/definition.ts";

export interface StaleView {
  readonly active: Fallback | null;
}

export class StaleViews {
  readonly #views = new Map<string, { active: Fallback | null }>();

  of(view: string): StaleView {
    let stale = this.#views.get(view);
    if (stale === undefined) this.#views.set(view, (stale = { active: null }));
    return stale;
  }

  /** Whether anything changed. */
  set(view: string, active: Fallback | null): boolean {
    const stale = this.of(view) as { active: Fallback | null };
    if (stale.active === active) return false;
    stale.active = active;
    return true;
  }

  /** These and no others. Whether anything changed. */
  replace(active: StaleViews["active"]): boolean {
    const present = new Map(active);
    let isChanged = false;
    for (const view of this.#views.keys()) isChanged = this.set(view, present.get(view) ?? null) || isChanged;
    for (const [view, fallback] of active) isChanged = this.set(view, fallback) || isChanged;
    return isChanged;
  }

  /** `view@version` and what is served in its place. */
  get active(): readonly (readonly [view: string, fallback: Fallback])[] {
    return [...this.#views].flatMap(([view, { active }]) => (active === null ? [] : [[view, active] as const]));
  }
}
