/**
 * Replays the last days as if they were live: minute by minute, through the HTTP door.
 *
 * At each minute the model first asks for the vectors of the flights that leave in it, and only then does the
 * platform hear of what happened in that minute. So no answer can hold anything that was not known when it was asked.
 */
import type { Micros, ReplayClock } from "onefold";
import type { Progress } from "./console.ts";
import type { HttpClient } from "./http-client.ts";
import type { LiveMinute, Question } from "./prepare.ts";

export interface Replayed {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** What the model was given, by flight: values in the service's order. */
  readonly served: ReadonlyMap<string, readonly (number | null)[]>;
}

interface PushAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

interface VectorAnswer {
  readonly features: Readonly<Record<string, number | null>>;
  readonly metadata: { readonly token?: string };
}

export function vectorRequest(question: Question): string {
  const { origin, destination } = question;
  return JSON.stringify({ entities: { origin, destination, route: [origin, destination] }, token: true });
}

export async function replay(
  minutes: readonly LiveMinute[],
  clock: ReplayClock,
  client: HttpClient,
  featureNames: readonly string[],
  onProgress: (progress: Progress) => void,
): Promise<Replayed> {
  const served = new Map<string, (number | null)[]>();
  const totals = { accepted: 0, duplicates: 0, rejected: 0 };

  const ask = async (question: Question): Promise<void> => {
    const answer = await client.post<VectorAnswer>("/services/delay_model/vector", vectorRequest(question));
    if (answer.metadata.token === undefined) throw new Error("the vector came without its token");
    served.set(
      question.flight,
      featureNames.map((name) => answer.features[name] ?? null),
    );
  };
  const push = async (source: string, events: readonly string[]): Promise<void> => {
    if (events.length === 0) return;
    // 422 says that every row was rejected: they are among the dead letters now, and the replay goes on.
    const body = events.join("\n");
    const answer = await client.post<PushAnswer>(`/events/${source}`, body, "application/x-ndjson", [200, 422]);
    totals.accepted += answer.accepted;
    totals.duplicates += answer.duplicates;
    totals.rejected += answer.rejected;
  };

  for (const [i, minute] of minutes.entries()) {
    clock.advanceTo(minute.timeMicros as Micros);
    await Promise.all(minute.questions.map(ask));
    await Promise.all([push("departures", minute.departures), push("arrivals", minute.arrivals)]);
    if (i % 10 === 0) onProgress({ phase: "minutes", done: i + 1, total: minutes.length });
  }
  return { ...totals, served };
}
