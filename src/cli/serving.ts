/** What serves, until it is told to stop, and sends its metrics meanwhile. */
import type { OnefoldError } from "../base/errors.ts";
import type { Platform } from "../platform.ts";
import { type OtlpCommandOptions, sendMetrics } from "./otlp-options.ts";

/** Any route, without a network: the answer's body, or the error thrown. */
export type CallRoute = Platform["request"];

export interface Serving {
  readonly urls: { readonly url: string; readonly resp_url?: string };
  readonly request: CallRoute;
  /** Resolves where it cannot go on. */
  readonly failed: Promise<OnefoldError>;
  close(): Promise<void>;
}

/** Metrics are sent from when something is served, and once more when nothing is any more. */
export async function withMetricsSent(
  measuring: Parameters<typeof sendMetrics>[1],
  options: OtlpCommandOptions,
  serve: () => Promise<Serving>,
): Promise<Serving> {
  const sending = await sendMetrics(options, measuring);
  try {
    const serving = await serve();
    const close = async (): Promise<void> => {
      await serving.close();
      await sending.close();
    };
    return { ...serving, close };
  } catch (error) {
    await sending.close();
    throw error;
  }
}
