/** Opens the desk of a platform's experiments, and has its monitoring offer it to other processes. */
import { OnefoldError } from "../../base/errors.ts";
import type { ExperimentDesk } from "../../serve/experiment-desk.ts";
import type { Owned, Shared } from "../platform-parts.ts";
import type { Registrations } from "../registrations.ts";
import { experimentDesk } from "./experiment-desk.ts";

export function openExperiments(shared: Shared, owned: Owned | null, registrations: Registrations): ExperimentDesk {
  const desk = experimentDesk(shared.registry, owned?.shadows ?? null, async (name, asked, by) => {
    // Where servers share the registry, those that own a data folder follow whoever changes it.
    if (owned === null && !shared.isShared) {
      throw new OnefoldError("STORAGE_LOCKED", "beside the owner of the data folder no experiment can be changed", {
        hint: "ask its server: onefold experiments does",
      });
    }
    await registrations.stepExperiment(name, asked, by);
  });
  owned?.monitoring.watch({ experiments: desk });
  return desk;
}
