/**
 * The owner's training desk as a worker has it: every call is a question to the owner, whose answer is plain data. Labels
 * that a worker receives, and sets that it sends, it writes and reads itself, in the data folder.
 */
import { OnefoldError } from "../../base/errors.ts";
import type { TrainingDesk } from "../../serve/training-desk.ts";
import type { AskLink } from "./ask-link.ts";
import type { Questions } from "./messages.ts";

export function askedTraining(owner: Pick<AskLink, "ask">): TrainingDesk {
  const ask = <C extends keyof TrainingDesk>(
    call: C,
    ...given: Parameters<TrainingDesk[C]>
  ): ReturnType<TrainingDesk[C]> => owner.ask("training", { call, given }) as ReturnType<TrainingDesk[C]>;
  return {
    reserve: (format, id) => ask("reserve", format, id),
    release: (id) => ask("release", id),
    start: (labels, options, id) => ask("start", labels, options, id),
    list: () => ask("list"),
    job: (id) => ask("job", id),
    changed: (id, revision) => ask("changed", id, revision),
    remove: (id) => ask("remove", id),
    file: (id, format) => ask("file", id, format),
  };
}

/** What the owner answers a worker. */
export async function answerTraining(
  desk: TrainingDesk | null,
  { call, given }: Questions["training"]["asked"],
): Promise<unknown> {
  if (desk === null) throw new OnefoldError("TRAINING_NOT_OFFERED", "this server builds no training sets");
  return (desk[call] as (...given: readonly unknown[]) => Promise<unknown>).apply(desk, [...given]);
}
