/** Dead letters as they are asked for over HTTP, and by commands beside the server. */
import { OnefoldError } from "../base/errors.ts";
import type { LetterDesk, LettersAsked } from "../serve/letter-desk.ts";
import type { DeadLetterDesk, LetterChoice } from "./dead-letter-desk.ts";

export function askedLetterDesk(desk: DeadLetterDesk): LetterDesk {
  return {
    list: async ({ source, limit, ...asked }) => {
      const named = source === undefined ? {} : { source };
      const { letters, dropped } = await desk.survey({ ...choiceOf(asked), ...named, limit });
      return { dead_letters: letters, dropped };
    },
    replay: async (source, ids) => {
      const { notReplayable, ...counts } = await desk.replay({ source, ids: ids ?? "all" });
      return { source, ...counts, not_replayable: notReplayable };
    },
    resolve: async (source, asked) => {
      const filter = choiceOf(asked);
      if (Object.keys(filter).length === 0) {
        throw new OnefoldError("REQUEST_INVALID", "it is not said which letters are resolved", {
          where: source,
          hint: "give their code, view or ids, or several that must all apply",
        });
      }
      return { source, resolved: await desk.resolve({ source, filter }) };
    },
  };
}

function choiceOf({ code, view, ids }: LettersAsked): LetterChoice {
  return {
    ...(code === undefined ? {} : { code }),
    ...(view === undefined ? {} : { view }),
    ...(ids === undefined ? {} : { ids: new Set(ids) }),
  };
}
