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
    warnings: {
      type: "array",
      items: { type: "string" },
      description: "What is wrong although it serves: that the registry's database cannot be reached",
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
      summary: "Whether everything is loaded and folded up to the end of the log",
      reads: "nothing",
      schemas: { answers: { 200: readySchema, 503: errorSchema } },
      handle: () => {
        const { ready, waitingFor, warnings = [] } = ports.readiness();
        if (ready) return { status: 200, body: { status: "ready", ...(warnings.length === 0 ? {} : { warnings }) } };
        throw new OnefoldError("NOT_READY", `waiting for ${waitingFor.join(", ") || "the platform"}`, {
          hint: "ask again in a second",
        });
      },
    },
  ];
}
