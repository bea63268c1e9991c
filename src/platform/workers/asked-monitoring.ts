/**
 * The owner's monitoring as a worker has it: every call of a desk is a question to the owner, whose answer is plain data.
 */
import type { AlertDesk } from "../../serve/alert-desk.ts";
import type { DriftDesk } from "../../serve/drift-desk.ts";
import type { FeatureListDesk } from "../../serve/feature-list-desk.ts";
import type { ExperimentDesk } from "../../serve/experiment-desk.ts";
import type { ImportanceDesk } from "../../serve/importance-desk.ts";
import type { LetterDesk } from "../../serve/letter-desk.ts";
import type { QualityPort } from "../../serve/quality-port.ts";
import type { MonitoringDesks } from "../../serve/monitoring-desks.ts";
import type { VersionDesk } from "../../serve/version-desk.ts";
import type { AskLink } from "./ask-link.ts";

/** `offered`: the desks that the owner has. */
export function askedMonitoring(
  owner: Pick<AskLink, "ask">,
  offered: readonly (keyof MonitoringDesks)[],
): MonitoringDesks {
  const ask =
    (desk: keyof MonitoringDesks, call: string) =>
    (...given: readonly unknown[]): Promise<never> =>
      owner.ask("monitoring", { desk, call, given }) as Promise<never>;
  const alerts: AlertDesk = {
    list: ask("alerts", "list"),
    history: ask("alerts", "history"),
    silence: ask("alerts", "silence"),
    unsilence: ask("alerts", "unsilence"),
    test: ask("alerts", "test"),
  };
  const importances: ImportanceDesk = { report: ask("importances", "report"), of: ask("importances", "of") };
  const quality: QualityPort = { quality: ask("quality", "quality"), skew: ask("quality", "skew") };
  const drift: DriftDesk = {
    services: ask("drift", "services"),
    report: ask("drift", "report"),
    choose: ask("drift", "choose"),
  };
  const experiments: ExperimentDesk = {
    list: ask("experiments", "list"),
    show: ask("experiments", "show"),
    ramp: ask("experiments", "ramp"),
    stop: ask("experiments", "stop"),
    compare: ask("experiments", "compare"),
    took: ask("experiments", "took"),
  };
  const versions: VersionDesk = {
    promote: ask("versions", "promote"),
    rollback: ask("versions", "rollback"),
    retire: ask("versions", "retire"),
  };
  const features: FeatureListDesk = { list: ask("features", "list") };
  const letters: LetterDesk = {
    list: ask("letters", "list"),
    replay: ask("letters", "replay"),
    resolve: ask("letters", "resolve"),
  };
  return {
    ...(offered.includes("letters") ? { letters } : {}),
    ...(offered.includes("experiments") ? { experiments } : {}),
    ...(offered.includes("versions") ? { versions } : {}),
    ...(offered.includes("quality") ? { quality } : {}),
    ...(offered.includes("alerts") ? { alerts } : {}),
    ...(offered.includes("importances") ? { importances } : {}),
    ...(offered.includes("drift") ? { drift } : {}),
    ...(offered.includes("features") ? { features } : {}),
  };
}
