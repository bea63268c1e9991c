/** What alerts remember, as the wire shows it. */
import { formatMicros, type Micros } from "../../base/micros.ts";
import type { RuleDefinition } from "../../define/alert-definition.ts";
import type { AlertState } from "../../monitor/alerts/alert-state.ts";
import type { AlertContent, HistoryEntry } from "../../monitor/alerts/alert-store.ts";
import { foundOf } from "../../monitor/alerts/notice.ts";
import { isSilent, type Silence } from "../../monitor/alerts/silence.ts";
import type { ShownAlert, ShownAlerts, ShownEvent, ShownSilence, ShownSource } from "../../serve/alert-desk.ts";

export function shownAlerts(
  { memory, outbox, trainings }: AlertContent,
  rules: readonly RuleDefinition[],
  asked: {
    readonly evaluatedMicros: number | null;
    readonly sources: readonly ShownSource[];
    readonly nowMicros: number;
  },
): ShownAlerts {
  const { evaluatedMicros, sources, nowMicros } = asked;
  const states = memory.states.filter(({ phase }) => phase !== "inactive");
  const order: Readonly<Record<string, number>> = { firing: 0, pending: 1, resolved: 2, inactive: 3 };
  return {
    evaluated_at: evaluatedMicros === null ? null : time(evaluatedMicros),
    alerts: states
      .toSorted((a, b) => order[a.phase]! - order[b.phase]! || a.sinceMicros - b.sinceMicros)
      .map((state) => shownAlert(state, rules, memory.silences, nowMicros)),
    silences: memory.silences.filter(({ untilMicros }) => nowMicros < untilMicros).map(shownSilence),
    sources,
    undelivered: outbox.map(({ notice, destination, attempts, nextMicros, lastError }) => ({
      notice_id: notice.id,
      event: notice.event,
      rule: notice.rule,
      to: destination,
      attempts,
      next_at: time(nextMicros),
      error: lastError,
    })),
    trainings: trainings.map(({ id, rule, service, startedMicros, trainingSet, failures, lastError }) => ({
      id,
      rule,
      service,
      started_at: time(startedMicros),
      training_set: trainingSet,
      failures,
      error: lastError,
    })),
  };
}

function shownAlert(
  state: AlertState,
  rules: readonly RuleDefinition[],
  silences: readonly Silence[],
  nowMicros: number,
): ShownAlert {
  const rule = rules.find(({ name }) => name === state.rule);
  return {
    rule: state.rule,
    severity: rule?.kind === "alert" ? rule.severity : null,
    phase: state.phase,
    since: time(state.sinceMicros),
    seen: time(state.seenMicros),
    silenced: isSilent(state, silences, nowMicros),
    told_at: state.toldMicros === null ? null : time(state.toldMicros),
    found: { ...foundOf(state.measured) },
  };
}

export function shownSilence(silence: Silence): ShownSilence {
  const { id, rule, subject, untilMicros, createdMicros, by, comment } = silence;
  return {
    id,
    rule: rule ?? null,
    subject: { ...subject },
    until: time(untilMicros),
    created_at: time(createdMicros),
    by,
    comment,
  };
}

export function shownEvent({ sequence, atMicros, event, rule, detail }: HistoryEntry): ShownEvent {
  return { sequence, at: time(atMicros), event, rule, detail };
}

export function time(value: number): string {
  return formatMicros(value as Micros);
}
