/**
 * Whether the process lives, and whether it should get traffic.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type Route } from "./route.ts";

const readySchema = {
  type: "object",
  properties: {
    status: { enum: ["ready"] },
    building: {
      type: "array",
      items: { type: "string" },
      description: "Views that are being computed from history; all others are served meanwhile",
    },
    warnings: {
      type: "array",
      items: { type: "string" },
      description:
        "What is wrong although it serves: that the registry's database cannot be reached, that an offline table is refused, that a version is refused as its code is not loaded",
    },
  },
} as const;

export function healthRoutes(ports: ServePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/health",
      summary: "Whether the process lives",
      reads: "nothing",
      schemas: { answers: { 200: { type: "object", properties: { status: { enum: ["ok"] } } } } },
      handle: () => ({ status: 200, body: { status: "ok" } }),
    },
    {
      method: "GET",
      path: "/ready",
      summary:
        "Whether everything that was built before is loaded and folded up to the end of the log, and by the code that was registered",
      reads: "nothing",
      schemas: { answers: { 200: readySchema, 503: errorSchema } },
      handle: () => {
        const { ready, waitingFor, refused = [], building = [], warnings = [] } = ports.readiness();
        if (refused.length > 0) {
          throw new OnefoldError(
            "NOT_READY",
            `the definitions that were applied are not loaded: ${refused.join("; ")}`,
            {
              hint: "start it with the definitions that were applied, or apply these under a new version; onefold plan shows how they differ",
            },
          );
        }
        const lists = Object.entries({ building, warnings }).filter(([, list]) => list.length > 0);
        if (ready) return { status: 200, body: { status: "ready", ...Object.fromEntries(lists) } };
        throw new OnefoldError("NOT_READY", `waiting for ${waitingFor.join(", ") || "the platform"}`, {
          hint: "ask again in a second",
        });
      },
    },
  ];
}
