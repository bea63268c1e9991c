/**
 * Replays the last days as if they were live: minute by minute, vectors asked for over HTTP, events pushed.
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

export interface Pushed {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

/** Takes the events of one minute, JSON texts by source; resolves once the next vector sees them. */
export type Push = (events: Readonly<Record<"departures" | "arrivals", readonly string[]>>) => Promise<Pushed>;

interface VectorAnswer {
  readonly features: Readonly<Record<string, number | null>>;
  readonly metadata: { readonly token?: string };
}

export function vectorRequest(question: Question): string {
  const { origin, destination } = question;
  return JSON.stringify({ entities: { origin, destination, route: [origin, destination] }, token: true });
}

/** Pushes to the platform's HTTP door. */
export function httpPush(client: HttpClient): Push {
  const pushTo = async (source: string, events: readonly string[]): Promise<Pushed> => {
    if (events.length === 0) return { accepted: 0, duplicates: 0, rejected: 0 };
    // 422 says that every row was rejected: they are among the dead letters now, and the replay goes on.
    return client.post<Pushed>(`/events/${source}`, events.join("\n"), "application/x-ndjson", [200, 422]);
  };
  return async ({ departures, arrivals }) => {
    const [a, b] = await Promise.all([pushTo("departures", departures), pushTo("arrivals", arrivals)]);
    return {
      accepted: a.accepted + b.accepted,
      duplicates: a.duplicates + b.duplicates,
      rejected: a.rejected + b.rejected,
    };
  };
}

export async function replay(
  minutes: readonly LiveMinute[],
  clock: ReplayClock,
  client: HttpClient,
  push: Push,
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
  for (const [i, minute] of minutes.entries()) {
    clock.advanceTo(minute.timeMicros as Micros);
    await Promise.all(minute.questions.map(ask));
    const pushed = await push(minute);
    totals.accepted += pushed.accepted;
    totals.duplicates += pushed.duplicates;
    totals.rejected += pushed.rejected;
    if (i % 10 === 0) onProgress({ phase: "minutes", done: i + 1, total: minutes.length });
  }
  return { ...totals, served };
}
