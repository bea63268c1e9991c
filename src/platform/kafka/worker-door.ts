/**
 * What a worker tells over HTTP: `GET /health` for whoever keeps it running, `GET /metrics` for Prometheus.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { OnefoldError } from "../../base/errors.ts";
import type { WorkerProgress } from "../../ingest/kafka/worker.ts";

export interface WorkerDoor {
  /** `http://host:port` */
  readonly url: string;
  close(): Promise<void>;
}

/** Throws `LISTEN_FAILED`. */
export async function openWorkerDoor(
  { host, port }: { readonly host: string; readonly port: number },
  progress: () => WorkerProgress,
): Promise<WorkerDoor> {
  const server = createServer((request, response) => {
    if (request.method !== "GET") response.writeHead(405).end();
    else if (request.url === "/health") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(healthOf(progress())));
    } else if (request.url === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(metricsPage(progress()));
    } else response.writeHead(404).end();
  });
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new OnefoldError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${(cause as Error).message}`, { cause });
  }
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface WorkerHealth {
  readonly routed: number;
  readonly folded: number;
  readonly archived: number;
  readonly duplicates: number;
  readonly dead_letters: number;
  readonly partitions: number;
  readonly route_lag: number;
  readonly fold_lag: number;
  /** What it is held up by and tries again. */
  readonly trouble: { readonly code: string; readonly message: string } | null;
}

export function healthOf({ route, fold, archived, trouble }: WorkerProgress): WorkerHealth {
  return {
    routed: route.events,
    folded: fold.events,
    archived,
    duplicates: fold.duplicates,
    dead_letters: route.deadLetters + fold.deadLetters,
    partitions: fold.partitions.length,
    route_lag: route.lag,
    fold_lag: fold.partitions.reduce((sum, { lag }) => sum + lag, 0),
    trouble: trouble === null ? null : { code: trouble.code, message: trouble.message },
  };
}

function metricsPage(progress: WorkerProgress): string {
  const { routed, folded, archived, duplicates, dead_letters, partitions, route_lag, fold_lag, trouble } =
    healthOf(progress);
  return [
    metric("routed_events_total", "counter", "events appended to internal topics", routed),
    metric("folded_events_total", "counter", "events taken from folded topics", folded),
    metric("archived_events_total", "counter", "events moved to offline tables", archived),
    metric("duplicate_events_total", "counter", "events dropped, as their ids came before", duplicates),
    metric("dead_letters_total", "counter", "records and events that could not be used", dead_letters),
    metric("partitions", "gauge", "folded partitions that the worker owns", partitions),
    metric("route_lag_records", "gauge", "records of sources' topics not yet routed, of owned partitions", route_lag),
    metric("fold_lag_records", "gauge", "records of folded topics not yet folded, of owned partitions", fold_lag),
    metric("in_trouble", "gauge", "1 while a part of the worker fails and tries again", trouble === null ? 0 : 1),
  ].join("");
}

function metric(name: string, type: "counter" | "gauge", help: string, value: number): string {
  return `# HELP onefold_worker_${name} ${help}\n# TYPE onefold_worker_${name} ${type}\nonefold_worker_${name} ${value}\n`;
}
