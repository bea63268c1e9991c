/**
 * What the benchmark of the HTTP door serves: vectors of 20 features from three views, with the real registry and the
 * real fold, states in memory, and a serving log that forgets.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ReplayClock } from "../src/base/clock.ts";
import { type Micros, micros, MICROS_PER_MINUTE, MICROS_PER_SECOND, parseMicros } from "../src/base/micros.ts";
import type { ViewDefinition } from "../src/define/definition.ts";
import { compileViewFold } from "../src/fold/compile.ts";
import type { ViewState } from "../src/fold/view-fold.ts";
import { ChangeCounts } from "../src/online-store/change-counts.ts";
import { openFitStore } from "../src/registry/fit-files.ts";
import { openFileRegistry } from "../src/registry/file-registry.ts";
import type { ServedView, ServePorts } from "../src/serve/ports.ts";
import { arrivals, delayDefinitions } from "./delays.ts";

const AIRPORTS = 200;
const EVENTS = 200_000;

const clock = new ReplayClock(parseMicros("2001-06-01T00:00:00Z"));

/** Keys that have events, as requests give them. */
export const servedKeys: readonly Readonly<Record<string, string>>[] = Array.from({ length: AIRPORTS }, (_, i) => ({
  origin: `A${i}`,
  destination: `A${(i * 7 + 1) % AIRPORTS}`,
}));

export async function openServingPorts(): Promise<ServePorts> {
  const folder = await mkdtemp(join(tmpdir(), "onefold-bench-"));
  const registry = await openFileRegistry(folder, { clock });
  await registry.apply(delayDefinitions);
  const fits = await openFitStore(folder);
  await rm(folder, { recursive: true });
  const views = new Map<string, ServedView & { readonly states: Map<string, ViewState> }>();
  for (const { definition } of registry.views()) views.set(definition.name, openView(definition));
  foldEvents([...views.values()]);
  return {
    clock,
    registry,
    fits,
    maxFutureMicros: MICROS_PER_MINUTE,
    revision: () => 0,
    view: (name) => views.get(name)!,
    push: () => Promise.reject(new Error("nothing is pushed here")),
    samples: () => false,
    record: () => {},
    metrics: () => Promise.reject(new Error("nothing is measured here")),
    readiness: () => ({ ready: true, waitingFor: [] }),
  };

  function openView(definition: ViewDefinition): ServedView & { readonly states: Map<string, ViewState> } {
    const states = new Map<string, ViewState>();
    const of = registry.entity(definition.entity).definition;
    const fold = compileViewFold(definition, arrivals, of);
    return {
      definition,
      entity: of,
      source: arrivals,
      fold,
      epoch: 0,
      states,
      // Nothing changes once the events are folded.
      changes: new ChangeCounts(),
      state: (key) => states.get(key) ?? null,
    };
  }
}

function foldEvents(views: readonly (ServedView & { readonly states: Map<string, ViewState> })[]): void {
  let seed = 1;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let offset = 0; offset < EVENTS; offset++) {
    const time = (clock.now() + MICROS_PER_SECOND) as Micros;
    clock.advanceTo(micros(time));
    const { origin, destination } = { origin: Math.floor(random() * AIRPORTS), destination: Math.floor(random() * 20) };
    const row = [`A${origin}`, `A${(origin * 7 + 1 + destination) % AIRPORTS}`, time, Math.floor(random() * 60) - 10];
    for (const { fold, states } of views) {
      const key = fold.keyOf(row);
      let state = states.get(key);
      if (state === undefined) states.set(key, (state = fold.empty()));
      fold.fold(state, { offset, eventTime: time, knownTime: time, row });
    }
  }
}
