/**
 * Training sets that reproduce what was served, and random views joined from a real archive.
 */
import { describe, expect, it } from "vitest";
import type { Micros } from "../../src/base/micros.ts";
import type { ServiceDefinition, ViewDefinition } from "../../src/define/definition.ts";
import { compileViewFold } from "../../src/fold/compile.ts";
import { createReadBuffer, STATUS_NAMES } from "../../src/fold/view-fold.ts";
import { encodeVectorToken } from "../../src/schema/vector-token.ts";
import { type GeneratedEvent, randomEvents } from "../../src/testing/event-generator.ts";
import { randomView } from "../../src/testing/view-generator.ts";
import { generatedEntity, generatedSource } from "../../src/testing/generated-source.ts";
import { SeededRandom } from "../../src/testing/random.ts";
import { sameBits } from "../../src/training/same-bits.ts";

import { definitions, flight } from "./flights.ts";
import { minute, rowsOf, TrainingWorld, type WorldEvent } from "./training-world.ts";

const HISTORY_BASE = -(2 ** 52);

describe("point-in-time correctness: a spine of tokens", () => {
  it("gives what was served, lag and all, before and after an import that opened an epoch", async () => {
    const world = await TrainingWorld.open(definitions);
    try {
      const early = flight("SEA", "SFO", 1, 1);
      const forgotten = flight("SEA", "SFO", 2, 2);
      const later = flight("SEA", "SFO", 3, 4);
      await world.history("flights", [early, later]);
      await world.live("flights", [
        flight("SEA", "SFO", 10, 8),
        flight("SEA", "LAX", 11, 16),
        flight("SEA", "SFO", 12, 32),
      ]);
      const token = (asOf: number, epoch: number, onRoute: number | null, atAirport: number | null): string =>
        encodeVectorToken({
          asOf: minute(asOf),
          reads: [
            { view: "route_flights@1", epoch, lastOffset: onRoute },
            { view: "airport_flights@1", epoch, lastOffset: atAirport },
          ],
        });
      const before = [
        token(13, 0, 2, 2),
        // the route's state lagged behind the airport's
        token(13, 0, 0, 1),
        token(3, 0, HISTORY_BASE, HISTORY_BASE + 1),
        token(0, 0, null, null),
        token(13, 0, 2, 2),
      ];
      await world.history("flights", [early, forgotten, later], "replace");
      await world.live("flights", [flight("SEA", "SFO", 14, 64)]);
      const after = [token(15, 1, 2, 2), token(15, 1, 3, 3), token(4, 1, HISTORY_BASE + 1, HISTORY_BASE + 2)];
      const cells = [before[0], after[0], before[1], before[2], after[1], before[3], after[2], before[4]];
      const labels = await world.file(
        "csv",
        `origin,destination,vector_token\n${cells.map((cell) => `SEA,SFO,${cell}`).join("\n")}\n`,
      );
      const set = await world.train(labels, {
        knowledge: "as-served",
        labels: { path: labels, tokenColumn: "vector_token" },
      });
      const names = set.columns.map((column) => column.name);
      const places = ["flights_1h", "delay_sum", "mean_delay"].map((name) => names.indexOf(name));
      expect(rowsOf(set).map((row) => places.map((place) => row[place]))).toEqual([
        [4, 45, 61 / 5],
        [5, 47, 63 / 6],
        [3, 13, 29 / 4],
        [1, 1, 5 / 2],
        [6, 111, 127 / 7],
        [0, null, null],
        [2, 3, 7 / 3],
        [4, 45, 61 / 5],
      ]);
      expect(set.manifest.boundary).toBeNull();
      expect(set.manifest.views.map((view) => view.epochs)).toEqual([
        [0, 1],
        [0, 1],
      ]);
      expect(set.manifest.spine.timeColumn).toBeNull();
      expect(set.manifest.services).toMatchObject([{ name: "model", tokenColumn: "vector_token" }]);
    } finally {
      await world.close();
    }
  });
});

describe("point-in-time correctness: random views over an archive", () => {
  const SEEDS =
    process.env["ONEFOLD_SEED"] === undefined
      ? Array.from({ length: 8 }, (_, i) => 100 + i)
      : [Number(process.env["ONEFOLD_SEED"])];

  it.each(SEEDS)("give what folding the visible events gives, to the bit (seed %i)", async (seed) => {
    const random = new SeededRandom(seed);
    const view = viewWithoutCode(random);
    const service: ServiceDefinition = {
      kind: "service",
      name: "model",
      features: view.features.map(({ name }) => ({ view: view.name, version: view.version, feature: name, as: name })),
    };
    const world = await TrainingWorld.open([generatedEntity, generatedSource, view, service]);
    try {
      const events = randomEvents(random, 120, ["a", "b", "", "d|e"]).map(storable);
      const cut = random.integer(1, 119);
      const asWorld = (event: GeneratedEvent): WorldEvent => ({
        ...event,
        row: event.row.slice(0, generatedSource.columns.length),
      });
      const folded = [
        ...(await world.history("payments", events.slice(0, cut).map(asWorld))),
        ...(await world.live("payments", events.slice(cut).map(asWorld))),
      ];
      const end = events.at(-1)!.knownTime;
      const labels = Array.from({ length: 150 }, (): readonly [string, number] => {
        const { knownTime, eventTime } = random.pick(events);
        return [
          random.pick(["a", "b", "", "d|e", "never"]),
          Math.min(end, random.pick([knownTime, knownTime - 1, eventTime + 1])),
        ];
      });
      const path = await world.parquet(
        [
          { name: "account", type: { name: "string" } },
          { name: "t", type: { name: "timestamp" } },
        ],
        labels,
      );
      const fold = compileViewFold(view, generatedSource, generatedEntity);
      const read = createReadBuffer(view.features.length);
      for (const boundary of ["inclusive", "exclusive"] as const) {
        const set = await world.train(path, { boundary });
        labels.forEach(([account, t], row) => {
          const state = fold.empty();
          for (const event of folded) {
            const isKnown = boundary === "inclusive" ? event.knownTime <= t : event.knownTime < t;
            if (isKnown && event.row[0] === account) fold.fold(state, event);
          }
          fold.read(state, t as Micros, read);
          set.columns.forEach((column, i) => {
            const got = [column.value(row), STATUS_NAMES[column.statuses[row]!]];
            if (sameBits(got[0]!, read.values[i]!) && got[1] === STATUS_NAMES[read.statuses[i]!]) return;
            expect({ seed, boundary, row, account, t, feature: column.name, got }).toEqual({
              wanted: [read.values[i], STATUS_NAMES[read.statuses[i]!]],
            });
          });
        });
      }
    } finally {
      await world.close();
    }
  });
});

/** What a registry takes: functions only from files, where their code can be fingerprinted. */
function viewWithoutCode(random: SeededRandom): ViewDefinition {
  for (;;) {
    const view = randomView(random, random.oneIn(3) ? "sessions" : "basic");
    const hasCode = view.features.some(({ aggregation }) => aggregation.custom !== undefined);
    if (!hasCode && view.exactEvents > 0) return view;
  }
}

/** The door refuses text that has no UTF-8 form. */
function storable(event: GeneratedEvent): GeneratedEvent {
  return {
    ...event,
    row: event.row.map((value) => (typeof value === "string" ? value.replace("\ud800", "?") : value)),
  };
}
