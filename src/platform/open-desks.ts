/** Opens the desks by which what is registered is changed while it serves, and dead letters seen to; offers them to other processes. */
import type { ExperimentDesk } from "../serve/experiment-desk.ts";
import { askedLetterDesk } from "./asked-letters.ts";
import { DeadLetterDesk } from "./dead-letter-desk.ts";
import { experimentDesk } from "./experiments/experiment-desk.ts";
import { ShadowCounts } from "./experiments/shadow-counts.ts";
import type { Owned, Shared } from "./platform-parts.ts";
import type { Registrations } from "./registrations.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { openVersionDesk, type VersionDesk, versionHouse } from "./version-desk.ts";

export type { ExperimentDesk } from "../serve/experiment-desk.ts";
export type { VersionDesk } from "./version-desk.ts";

/** `own` throws `STORAGE_LOCKED` where this process does not own the data folder; who shares the registry need not. */
export function openDesks(
  context: RuntimeContext,
  { isShared }: Shared,
  owned: Owned | null,
  registrations: Registrations,
  own: (work: string, instead: string) => unknown,
): { readonly experiments: ExperimentDesk; readonly versions: VersionDesk } {
  const refuse = (): unknown => isShared || own("change an experiment", "ask its server: onefold experiments does");
  const experiments = experimentDesk(context, owned?.shadows ?? new ShadowCounts(context), {
    step: async (name, asked, by) => {
      refuse();
      await registrations.stepExperiment(name, asked, by);
    },
  });
  const keepUsage = async (): Promise<void> => owned?.monitoring.keepUsage?.();
  const house = { ...versionHouse(context, owned, registrations, keepUsage), isShared };
  const versions = openVersionDesk(house, () => {
    if (!isShared) own("move an alias", "ask its server: onefold promote does");
  });
  if (owned !== null) {
    const letters = askedLetterDesk(new DeadLetterDesk(context, owned.sources));
    owned.monitoring.watch({ experiments, versions, letters });
  }
  return { experiments, versions };
}
