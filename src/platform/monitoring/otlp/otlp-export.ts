/**
 * Metrics sent to an OpenTelemetry collector, or to whatever else takes OTLP over HTTP, for as long as something is served.
 * The exporter is loaded when it is first asked for: whoever sends none need not have it installed.
 */
import type { Clock } from "../../../base/clock.ts";
import { OnefoldError } from "../../../base/errors.ts";
import { packageVersion } from "../../../base/version.ts";
import { measuredMetrics } from "../../../monitor/metrics/measured-metrics.ts";
import type { MetricValues } from "../../../monitor/metrics/prometheus.ts";
import type * as ExporterModule from "./otlp-exporter.ts";

export interface OtlpOptions {
  /** Of the receiver: `http://host:4318`, to which `/v1/metrics` is added, or whole with its path. */
  readonly url: string;
  /** Default a minute. */
  readonly everyMs?: number;
  /** Told of the first of each run of failures. */
  onError?(error: OnefoldError): void;
}

/** Whose metrics are sent. */
export interface Measuring {
  readonly clock: Clock;
  measured(): Promise<MetricValues>;
}

export interface OtlpExport {
  /** Sends once more, and ends. */
  close(): Promise<void>;
}

const EVERY_MS = 60_000;

/** Throws `REQUEST_INVALID` for an address that is none, and where the exporter is not installed. */
export async function startOtlpExport(
  { url, everyMs = EVERY_MS, onError = () => {} }: OtlpOptions,
  measuring: Measuring,
): Promise<OtlpExport> {
  const target = targetOf(url);
  const { openExporter } = await exporterModule();
  let isFailing = false;
  return openExporter({
    url: target,
    everyMs,
    resource: resourceOf(),
    startedAt: measuring.clock.now(),
    now: () => measuring.clock.now(),
    measured: async () => measuredMetrics(await measuring.measured()),
    onOutcome: (error) => {
      if (error !== null && !isFailing) onError(notTaken(target, error));
      isFailing = error !== null;
    },
  });
}

/** As OTEL_EXPORTER_OTLP_ENDPOINT is read, where there is no path. */
function targetOf(url: string): string {
  const address = URL.canParse(url) ? new URL(url) : null;
  if (address === null || !/^https?:$/.test(address.protocol)) {
    throw new OnefoldError("REQUEST_INVALID", `"${url}" is no address that metrics can be sent to`, {
      hint: "http://host:4318",
    });
  }
  return address.pathname === "/" ? new URL("/v1/metrics", address).href : address.href;
}

/** What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say goes before ours. */
function resourceOf(): Record<string, string> {
  const { OTEL_SERVICE_NAME: name, OTEL_RESOURCE_ATTRIBUTES: listed = "" } = process.env;
  const attributes = listed.split(",").flatMap((one) => {
    const at = one.indexOf("=");
    return at <= 0 ? [] : [[one.slice(0, at).trim(), decodeURIComponent(one.slice(at + 1).trim())] as const];
  });
  return {
    "service.name": "onefold",
    "service.version": packageVersion(),
    ...Object.fromEntries(attributes),
    ...(name === undefined || name === "" ? {} : { "service.name": name }),
  };
}

function notTaken(url: string, cause: Error): OnefoldError {
  return new OnefoldError("DELIVERY_FAILED", `metrics were not taken: ${cause.message}`, {
    where: url,
    hint: "they are sent again the next time, as they are then",
    cause,
  });
}

async function exporterModule(): Promise<typeof ExporterModule> {
  try {
    return await import("./otlp-exporter.ts");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new OnefoldError("REQUEST_INVALID", "sending metrics over OTLP needs OpenTelemetry's exporter", {
      hint: "install it: npm install @opentelemetry/api @opentelemetry/sdk-metrics @opentelemetry/resources @opentelemetry/exporter-metrics-otlp-http",
      cause,
    });
  }
}
