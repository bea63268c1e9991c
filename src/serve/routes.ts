/** Every HTTP route there is. */
import { aliasRoutes } from "./alias-routes.ts";
import { alertRoutes } from "./alert-routes.ts";
import { correctionRoutes } from "./correction-routes.ts";
import { withDocs } from "./docs-routes.ts";
import { driftRoutes } from "./drift-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { experimentRoutes } from "./experiment-routes.ts";
import { feastRoutes } from "./feast-routes.ts";
import { featureListRoutes } from "./feature-list-routes.ts";
import { featureRoutes } from "./feature-routes.ts";
import type { FeatureReader } from "./feature-reader.ts";
import { fitRoutes } from "./fit-routes.ts";
import { freshnessRoutes } from "./freshness-routes.ts";
import { healthRoutes } from "./health-routes.ts";
import { importanceRoutes } from "./importance-routes.ts";
import { letterRoutes } from "./letter-routes.ts";
import { metricsRoutes } from "./metrics-routes.ts";
import type { ServePorts } from "./ports.ts";
import { qualityRoutes } from "./quality-routes.ts";
import { registryRoutes } from "./registry-routes.ts";
import type { Route } from "./route.ts";
import { serviceRoutes } from "./service-routes.ts";
import { serviceSchemaRoutes } from "./service-schema-routes.ts";
import { trainingSetRoutes } from "./training-set-routes.ts";

export function allRoutes(reader: FeatureReader, ports: ServePorts): Route[] {
  return withDocs([
    ...featureRoutes(reader, ports),
    ...serviceRoutes(reader, ports),
    ...serviceSchemaRoutes(reader),
    ...fitRoutes(ports),
    ...eventRoutes(ports),
    ...correctionRoutes(ports),
    ...letterRoutes(ports),
    ...feastRoutes(reader, ports),
    ...trainingSetRoutes(ports),
    ...featureListRoutes(ports),
    ...registryRoutes(ports.registry),
    ...aliasRoutes(ports),
    ...qualityRoutes(ports),
    ...healthRoutes(ports),
    ...metricsRoutes(ports),
    ...driftRoutes(ports),
    ...freshnessRoutes(ports),
    ...alertRoutes(ports),
    ...importanceRoutes(ports),
    ...experimentRoutes(ports),
  ]);
}

/** `GET /features/{entity_type}/{entity_id}`. */
export function routeName(route: Route): string {
  return `${route.method} ${route.path}`;
}

/** Methods of the routes that this path (without its query) belongs to. */
export function methodsOfPath(routes: readonly Route[], path: string): string[] {
  const segments = path.split("/");
  const matches = (route: Route): boolean => {
    const pattern = route.path.split("/");
    return (
      pattern.length === segments.length &&
      pattern.every((part, i) => part === segments[i] || (part.startsWith("{") && segments[i] !== ""))
    );
  };
  return [...new Set(routes.filter(matches).map((route) => route.method))];
}
