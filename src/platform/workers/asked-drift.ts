/** The owner's drift port as a worker has it: every call is a question to the owner, whose answer is plain data. */
import { OnefoldError } from "../../base/errors.ts";
import type { DriftPort } from "../../serve/ports.ts";
import type { AskLink } from "./ask-link.ts";
import type { Questions } from "./messages.ts";

export function askedDrift(owner: Pick<AskLink, "ask">): DriftPort {
  const ask = <C extends keyof DriftPort>(call: C, ...given: Parameters<DriftPort[C]>): ReturnType<DriftPort[C]> =>
    owner.ask("drift", { call, given }) as ReturnType<DriftPort[C]>;
  return {
    services: () => ask("services"),
    report: (asked) => ask("report", asked),
    choose: (service, baseline) => ask("choose", service, baseline),
  };
}

/** What the owner answers a worker. */
export async function answerDrift(
  port: DriftPort | null,
  { call, given }: Questions["drift"]["asked"],
): Promise<unknown> {
  if (port === null) throw new OnefoldError("NOT_READY", "this server keeps no drift");
  return (port[call] as (...given: readonly unknown[]) => Promise<unknown>).apply(port, [...given]);
}
