/**
 * A day more, in which whoever sends arrivals begins to send delays in seconds instead of minutes: what the alerts that hold by
 * default say of it. The flights are those of the last day once more, and that day's hours are the baseline.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Definition, type Micros, openPlatform, type ReplayClock } from "onefold";
import { HttpClient } from "./http-client.ts";
import type { LiveMinute } from "./prepare.ts";
import { httpPush, replay } from "./replay.ts";

const MINUTE = 60_000_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Hours of the day of which vectors are asked for: so busy that each has a hundred. */
const ASKED_HOURS = [13, 14, 15] as const;
/** From this one on delays are in seconds. */
const CHANGED_HOUR = 14;

export interface DriftAlertOptions {
  readonly dataDir: string;
  readonly definitions: readonly Definition[];
  /** Stands at the end of the replayed days, at midnight. */
  readonly clock: ReplayClock;
  readonly minutes: readonly LiveMinute[];
  readonly featureNames: readonly string[];
  readonly service: string;
  readonly connections: number;
}

export interface JudgedHour {
  readonly hour: number;
  readonly isChanged: boolean;
  /** What the alert fires for when the hour is over, the furthest first. */
  readonly firing: readonly FiringFeature[];
}

export interface FiringFeature {
  readonly feature: string;
  /** Of Kolmogorov and Smirnov, 0 to 1, and from which on it is news. */
  readonly distance: number;
  readonly threshold: number;
}

interface ShownAlerts {
  readonly evaluated_at: string | null;
  readonly alerts: readonly {
    readonly rule: string;
    readonly phase: string;
    readonly found: {
      readonly subject: { readonly feature: string };
      readonly detail: { readonly effect_size: number; readonly effect_threshold: number };
    };
  }[];
}

export async function driftAlert(options: DriftAlertOptions): Promise<readonly JudgedHour[]> {
  const { dataDir, definitions, clock, minutes, featureNames, service, connections } = options;
  const midnight = clock.now();
  const alerts = { everyMicros: 250_000 };
  const sampled = { driftSampleRate: 1, servingLogSampleRate: 0 };
  const platform = await openPlatform({ dataDir, clock, definitions, alerts, ...sampled });
  try {
    const [first, last] = [ASKED_HOURS[0], ASKED_HOURS.at(-1)!].map((hour) => midnight - DAY + hour * HOUR);
    await platform.drift.choose(service, `range:${iso(first!)}..${iso(last! + HOUR)}`);
    const server = await platform.serve({ port: 0, host: "127.0.0.1" });
    const client = new HttpClient(server.url, connections);
    const play = (some: readonly LiveMinute[]) => replay(some, clock, client, httpPush(client), featureNames, () => {});
    const between = (from: number, until: number, isChanged: boolean): LiveMinute[] =>
      minutes
        .filter(({ timeMicros }) => timeMicros + DAY >= from && timeMicros + DAY < until)
        .map((minute) => aDayLater(minute, isChanged));
    await play(inStretches(between(midnight, midnight + ASKED_HOURS[0] * HOUR, false)));
    const hours: JudgedHour[] = [];
    for (const hour of ASKED_HOURS) {
      const from = midnight + hour * HOUR;
      const isChanged = hour >= CHANGED_HOUR;
      await play(between(from, from + HOUR, isChanged));
      await platform.settle();
      // An hour is judged two minutes after its end.
      clock.advanceTo((from + HOUR + 3 * MINUTE) as Micros);
      let shown: ShownAlerts;
      // The round that ends first may have asked before; the next has not.
      for (let round = 0; round < 2; round++) {
        clock.advanceTo((clock.now() + 1_000_000) as Micros);
        do {
          await sleep(20);
          shown = (await platform.request("GET", "/alerts")) as unknown as ShownAlerts;
        } while (shown.evaluated_at === null || Date.parse(shown.evaluated_at) * 1000 < clock.now());
      }
      const firing = shown!.alerts
        .filter(({ rule, phase }) => rule === "default_drift" && phase === "firing")
        .map(({ found: { subject, detail } }) => {
          return { feature: subject.feature, distance: detail.effect_size, threshold: detail.effect_threshold };
        })
        .toSorted((a, b) => b.distance - a.distance);
      hours.push({ hour, isChanged, firing });
    }
    client.close();
    await server.close();
    return hours;
  } finally {
    await platform.close();
  }
}

function aDayLater({ timeMicros, departures, arrivals, questions }: LiveMinute, isChanged: boolean): LiveMinute {
  const again = (text: string): string => {
    const { flight, delay, ...event } = JSON.parse(text) as Record<string, unknown>;
    const later = Object.entries(event).map(([name, value]) => [name, name.endsWith("_at") ? dayAfter(value) : value]);
    const unit = isChanged ? 60 : 1;
    const told = delay === undefined ? {} : { delay: (delay as number) * unit };
    return JSON.stringify({ flight: `${flight as string}-again`, ...Object.fromEntries(later), ...told });
  };
  return {
    timeMicros: timeMicros + DAY,
    departures: departures.map(again),
    arrivals: arrivals.map(again),
    questions,
  };
}

/** Of a third of an hour each, and nobody asks. */
function inStretches(minutes: readonly LiveMinute[]): LiveMinute[] {
  const stretches = new Map<number, LiveMinute[]>();
  for (const minute of minutes) {
    const stretch = Math.floor(minute.timeMicros / (20 * MINUTE));
    stretches.set(stretch, [...(stretches.get(stretch) ?? []), minute]);
  }
  return Array.from(stretches.values(), (of) => ({
    timeMicros: of.at(-1)!.timeMicros,
    departures: of.flatMap(({ departures }) => departures),
    arrivals: of.flatMap(({ arrivals }) => arrivals),
    questions: [],
  }));
}

function iso(micros: number): string {
  return new Date(micros / 1000).toISOString();
}

function dayAfter(time: unknown): string {
  return new Date(Date.parse(time as string) + DAY / 1000).toISOString();
}
