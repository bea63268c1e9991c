/**
 * What the server counts and measures, for whoever watches it.
 */
import type { ServePorts } from "./ports.ts";
import type { Route } from "./route.ts";

export function metricsRoutes(ports: ServePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/metrics",
      summary: "Metrics in the Prometheus text format",
      reads: "nothing",
      schemas: { answers: { 200: { type: "string" } }, answerType: "text/plain" },
      handle: async () => {
        const { contentType, text } = await ports.metrics();
        return { status: 200, body: text, contentType };
      },
    },
  ];
}
