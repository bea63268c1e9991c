/**
 * Whether the process lives, and whether it should get traffic.
 */
import { OnefoldError } from "../base/errors.ts";
import type { ServePorts } from "./ports.ts";
import { errorSchema, type Route } from "./route.ts";

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
      summary: "Whether everything is loaded and folded up to the end of the log",
      reads: "nothing",
      schemas: { answers: { 200: { type: "object", properties: { status: { enum: ["ready"] } } }, 503: errorSchema } },
      handle: () => {
        const { ready, waitingFor } = ports.readiness();
        if (ready) return { status: 200, body: { status: "ready" } };
        throw new OnefoldError("NOT_READY", `waiting for ${waitingFor.join(", ") || "the platform"}`, {
          hint: "ask again in a second",
        });
      },
    },
  ];
}
