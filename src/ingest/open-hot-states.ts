/** Which way the states of a view are kept in memory: see `hot-states.ts`. */
import type { ViewState } from "../fold/view-fold.ts";
import type { HotStates, HotStatesOptions } from "./hot-states.ts";
import { ObjectStates } from "./object-states.ts";
import { PlacedHotStates } from "./placed-states.ts";

export function openHotStates<S extends ViewState>(options: HotStatesOptions<S>): HotStates<S> {
  const { placed } = options.fold;
  return placed === null ? new ObjectStates(options) : new PlacedHotStates(options, placed);
}
