/** What all partitions of a route are folded with: the door of its source, and the key of its events. */
import type { EntityKey } from "../../schema/entity-key.ts";
import { compileDoor, type Door } from "../door.ts";
import type { CheckedRow } from "../event.ts";
import { compileKey } from "./router.ts";
import type { Route, SourceRoutes } from "./routes.ts";

export interface RouteParts {
  readonly route: Route;
  readonly deadLetterTopic: string;
  readonly door: Door;
  readonly keyOf: (row: CheckedRow) => EntityKey;
}

export function routeParts({ routes, deadLetterTopic }: SourceRoutes): RouteParts[] {
  return routes.map((route) => {
    const door = compileDoor(route.source, route.views, { isSecond: !route.isDirect });
    return { route, deadLetterTopic, door, keyOf: compileKey(route) };
  });
}
