/**
 * The standing checks of a platform, and who is told of them.
 */
import type { TrainingPorts } from "../../training/ports.ts";
import type { Owned } from "../platform-parts.ts";
import type { RuntimeContext } from "../runtime-context.ts";
import { StandingChecks } from "./standing-checks.ts";

/** Of a platform; where it owns its data folder, alerts are told of them. */
export function openChecks(
  context: RuntimeContext,
  ports: TrainingPorts,
  owned: Owned | null,
  flushWorkers: () => Promise<unknown> | undefined,
): StandingChecks {
  const flushServed = (): Promise<unknown> => Promise.all([owned?.servingLog.flush(), flushWorkers()]);
  const house = { context, ports, sources: owned?.sources ?? null, flushServed };
  const checks = new StandingChecks(house, owned?.checks ?? {});
  owned?.monitoring.watch({ quality: checks.port }, checks.signalSources);
  return checks;
}
