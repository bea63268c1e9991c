/** Pushes of the served world as the product takes them in: through its own door, with its letters' ids and reasons. */
import { compileDoor } from "../../src/ingest/door.ts";
import type { LogEvent } from "../../src/ingest/event.ts";
import type { EventIds } from "../../src/ingest/event-ids.ts";
import { takeIn } from "../../src/ingest/push-intake.ts";
import { pushResult } from "../../src/ingest/push-result.ts";
import type { World } from "./served-world.ts";

export function pushAsTheProduct(world: World): NonNullable<World["pushInstead"]> {
  let letters = 0;
  let offset = 0;
  // Its source has no ids.
  const ids = { claim: () => null } as unknown as EventIds;
  return async (name, rows, faults = new Map()) => {
    const source = world.registry.source(name).definition;
    const door = compileDoor(source, []);
    const durable = Promise.resolve();
    const intake = await takeIn(rows, { door, ids, clock: world.clock, faults, lastKnownTime: () => 0, durable });
    const events = intake.places.map((place) => {
      world.arrive(rows[place] as Record<string, unknown>);
      return { offset: offset++ } as LogEvent;
    });
    const stored = intake.rejected.map(() => ({ id: `${name}-${letters++}` }));
    const { outcomes, ...counts } = pushResult({ ...intake, events, letters: stored });
    return { ...counts, outcomes: outcomes.map((outcome) => ({ ...outcome })) };
  };
}
