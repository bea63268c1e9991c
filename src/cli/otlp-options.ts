/** Options of commands that serve, to send their metrics to an OpenTelemetry collector. */
import { type Command, Option } from "commander";
import type { Measuring } from "../platform/monitoring/otlp/otlp-export.ts";
import { parseCount } from "./option-values.ts";
import { printServerError } from "./output.ts";

export interface OtlpCommandOptions {
  readonly otlp?: string;
  /** Seconds. */
  readonly otlpEvery: number;
  readonly debug?: true;
}

export function withOtlpOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--otlp <url>",
        "send metrics to an OpenTelemetry collector over HTTP: http://host:4318 (OTEL_EXPORTER_OTLP_HEADERS has its headers)",
      ),
    )
    .addOption(new Option("--otlp-every <seconds>", "... so often").default(60).argParser(parseCount));
}

/** Sends them from now on, where that is asked for. Throws `REQUEST_INVALID`. */
export async function sendMetrics(
  { otlp, otlpEvery, debug }: OtlpCommandOptions,
  measuring: Measuring,
): Promise<{ close(): Promise<void> }> {
  if (otlp === undefined) return { close: () => Promise.resolve() };
  const { startOtlpExport } = await import("../platform/monitoring/otlp/otlp-export.ts");
  const onError = (error: unknown): void => printServerError(error, "sending metrics", { debug: debug === true });
  const options = { url: otlp, everyMs: otlpEvery * 1000, onError };
  return startOtlpExport(options, measuring);
}
