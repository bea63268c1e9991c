/**
 * What a rule makes of the signals of one moment: which subjects are beyond. One finding for each subject and kind,
 * however many measures tell of it.
 *
 * A signal with a p-value is beyond where its effect is and it is significant among all that the rule tests at this moment:
 * a large effect over few values is chance, a small one over many is nothing. The effect is the signal's value, held
 * against its threshold; of a signal whose value is itself the p-value, `effect_beyond` in its detail tells.
 */
import type { RuleDefinition } from "../../define/alert-definition.ts";
import type { SignalSubject } from "../signal.ts";
import { adjustedPValues } from "./benjamini-hochberg.ts";
import { evidenceFor, type ServiceParts, type WatchedSignal, watchesSignal } from "./rule.ts";

export interface Finding {
  readonly rule: string;
  /** The same for the same kind and subject. */
  readonly key: string;
  readonly isBeyond: boolean;
  readonly windowStartMicros: number;
  readonly windowEndMicros: number;
  /** What it was found by, the furthest beyond. */
  readonly measured: Measured;
}

export interface Measured {
  readonly kind: WatchedSignal["kind"];
  readonly subject: SignalSubject;
  readonly measure: string;
  readonly value: number;
  readonly threshold: number | null;
  readonly pValue: number | null;
  /** Over all that the rule tested at this moment. */
  readonly adjustedPValue: number | null;
  readonly samples: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** `signals` are those of one moment. */
export function judge(rule: RuleDefinition, signals: readonly WatchedSignal[], parts: ServiceParts): Finding[] {
  const watched = signals.filter(
    (one) => one.samples >= evidenceFor(rule, one.kind).samplesMin && watchesSignal(rule, one, parts),
  );
  const tested = watched.filter((one) => one.pValue !== null);
  const adjusted = new Map(
    adjustedPValues(tested.map(({ pValue }) => pValue!)).map((value, place) => [tested[place]!, value]),
  );
  const findings = new Map<string, Finding>();
  for (const signal of watched) {
    const adjustedPValue = adjusted.get(signal) ?? null;
    const isSignificant = adjustedPValue === null || adjustedPValue <= rule.falseDiscoveryRate;
    const { kind, subject, measure, value, pValue, samples, detail, windowStartMicros, windowEndMicros } = signal;
    const finding: Finding = {
      rule: rule.name,
      key: subjectKey(kind, subject),
      isBeyond: isSignificant && isOutOfBound(rule, signal),
      windowStartMicros,
      windowEndMicros,
      measured: {
        kind,
        subject,
        measure,
        value,
        threshold: rule.bound?.value ?? signal.threshold,
        pValue,
        adjustedPValue,
        samples,
        detail,
      },
    };
    const before = findings.get(finding.key);
    if (before === undefined || (finding.isBeyond && !before.isBeyond)) findings.set(finding.key, finding);
  }
  return [...findings.values()];
}

function isOutOfBound({ bound }: RuleDefinition, { value, isBeyond, detail }: WatchedSignal): boolean {
  if (bound === undefined) return isBeyond && detail["effect_beyond"] !== false;
  return bound.side === "above" ? value > bound.value : value < bound.value;
}

/** Names may hold anything, so they are never just joined. */
export function subjectKey(kind: string, { source, view, feature, service, expectation }: SignalSubject): string {
  return JSON.stringify([kind, source ?? null, view ?? null, feature ?? null, service ?? null, expectation ?? null]);
}
