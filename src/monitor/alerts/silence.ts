/**
 * Silences: until some time nobody is told of what matches. What is silent is judged and kept all the same.
 */
import type { SignalSubject } from "../signal.ts";
import { formerSubject } from "../service-subject.ts";
import type { AlertState } from "./alert-state.ts";

export interface Silence {
  readonly id: string;
  /** Absent: of every rule. */
  readonly rule?: string;
  /** Members that are there must be equal. */
  readonly subject: SignalSubject;
  readonly untilMicros: number;
  readonly createdMicros: number;
  /** Who asked for it, and why. */
  readonly by: string;
  readonly comment: string;
}

const MEMBERS = ["source", "view", "feature", "service", "expectation"] as const satisfies (keyof SignalSubject)[];

export function isSilent(
  state: Pick<AlertState, "rule" | "measured">,
  silences: readonly Silence[],
  nowMicros: number,
): boolean {
  return silences.some(
    ({ rule, subject, untilMicros }) =>
      nowMicros < untilMicros &&
      (rule === undefined || rule === state.rule) &&
      MEMBERS.every(
        (name) => subject[name] === undefined || isMeant(name, subject[name], state.measured.subject[name]),
      ),
  );
}

function isMeant(member: (typeof MEMBERS)[number], silent: string, measured: string | undefined): boolean {
  if (silent === measured) return true;
  return member === "service" && measured !== undefined && silent === formerSubject(measured);
}
