/**
 * A rule as it is judged, and which signals it is about.
 */
import type { RuleDefinition, Watched } from "../../define/alert-definition.ts";
import { isStatistical } from "../../define/alert-problems.ts";
import { bareNameOf, referenceOfId } from "../../define/service-version.ts";
import { idOfSubject } from "../service-subject.ts";
import type { Signal, SignalKind, SignalSubject } from "../signal.ts";

/** What monitoring measures, and whether it can be asked at all. */
export type WatchedSignal = Omit<Signal, "kind"> & { readonly kind: SignalKind | "signal-source" };

/** The views, sources and features behind the services that rules name. */
export interface ServiceParts {
  /**
   * `view@version` and feature of everything that the service reads, of `name@2` in that version, of `name` in any; empty where
   * there is no such service.
   */
  featuresOf(service: string): readonly { readonly view: string; readonly feature: string; readonly as: string }[];
  sourceOf(view: string): string | null;
}

/**
 * How many windows a signal of the kind must be beyond in, and the fewest values it must be over. Of a rule that watches drift beside
 * other things those are drift's: what is no estimate needs neither.
 */
export function evidenceFor(
  rule: RuleDefinition,
  kind: WatchedSignal["kind"],
): Pick<RuleDefinition, "windows" | "samplesMin"> {
  const isOfOther = !isStatistical(kind) && rule.watches.kinds.some(isStatistical);
  return isOfOther ? { windows: 1, samplesMin: 0 } : rule;
}

export function watchesSignal(
  rule: RuleDefinition,
  signal: Pick<WatchedSignal, "kind" | "measure" | "subject">,
  parts: ServiceParts,
): boolean {
  const { kinds, measures, sources, views, features, expectations } = rule.watches;
  const { subject } = signal;
  return (
    kinds.includes(signal.kind) &&
    isAmong(signal.measure, measures) &&
    isAmong(
      subject.source ?? (subject.view === undefined ? undefined : (parts.sourceOf(subject.view) ?? undefined)),
      sources,
    ) &&
    isAmong(subject.view, views) &&
    isAmong(subject.feature, features) &&
    isAmong(subject.expectation, expectations) &&
    isOfServices(servicesOf(rule), subject, parts)
  );
}

function isAmong(name: string | undefined, names: readonly string[] | undefined): boolean {
  return names === undefined || (name !== undefined && names.includes(name));
}

function servicesOf(rule: RuleDefinition): Watched["services"] {
  return rule.kind === "retrain" ? [rule.service] : rule.watches.services;
}

/** Of a service itself; or of a feature, view or source that it reads. */
function isOfServices(services: readonly string[] | undefined, subject: SignalSubject, parts: ServiceParts): boolean {
  if (services === undefined) return true;
  const { service, view, feature, source } = subject;
  if (service !== undefined) {
    const id = idOfSubject(service);
    return services.some((name) => name === bareNameOf(id) || name === referenceOfId(id));
  }
  return services.some((name) =>
    parts.featuresOf(name).some((read) => {
      if (view !== undefined && view !== read.view) return false;
      if (feature !== undefined && feature !== read.feature && (view !== undefined || feature !== read.as))
        return false;
      if (view !== undefined || feature !== undefined) return true;
      return source !== undefined && source === parts.sourceOf(read.view);
    }),
  );
}
