/** `onefold get`: a feature vector, or those of all entities in a file, from the data folder or from a running server. */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { OnlineServer } from "../../platform/online/online-server.ts";
import { printPaced } from "../closed-output.ts";
import { callServer, type JsonObject } from "../http-call.ts";
import { interruptible } from "../interrupt.ts";
import { collectPair, parseCount, parseObject } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { formatCount } from "../progress.ts";
import {
  hasDefinitions,
  requireDefinitions,
  type StandardOptions,
  withPlatform,
  withStandardOptions,
} from "../standard-options.ts";
import { formatCell, formatTable } from "../table.ts";

interface GetOptions extends StandardOptions {
  readonly service: string;
  readonly entities?: string;
  readonly out?: string;
  readonly entity?: Readonly<Record<string, string>>;
  readonly request?: Readonly<Record<string, unknown>>;
  readonly fit?: number;
  readonly metadata?: true;
  readonly token?: true;
  readonly url?: string;
  readonly online?: string;
}

export function getCommand(): Command {
  const command = new Command("get")
    .description("read a feature vector, or those of all entities in a file")
    .requiredOption("--service <name>", "the service whose features are wanted")
    .addOption(
      new Option("--entity <key=value>", "a key column and its value; give one for each key column").argParser(
        collectPair,
      ),
    )
    .option("--entities <file>", "vectors of all entities in a file: Parquet, CSV or NDJSON with the key columns")
    .option("-o, --out <file>", "with --entities: .parquet, .csv or .ndjson (default: lines of JSON on stdout)")
    .addOption(
      new Option("--request <json>", "request data for on-demand features, as one JSON object").argParser(parseObject),
    )
    .addOption(
      new Option("--fit <version>", "the fit to transform with (default: the newest of the service)").argParser(
        parseCount,
      ),
    )
    .option("--metadata", "status, event time and true window start of each value")
    .option("--token", "a token that reproduces this vector in a training set or audit")
    .option("--url <address>", "ask a running server instead of opening the data folder")
    .addOption(
      new Option(
        "--online <url>",
        "read states that workers, or serve --publish, have written to a Redis: redis://host:port",
      ).conflicts("url"),
    )
    .action(async (options: GetOptions) => {
      if (options.entities !== undefined) return getOfFile(options, options.entities);
      const request = {
        entities: options.entity ?? {},
        ...(options.request === undefined ? {} : { request: options.request }),
        ...(options.fit === undefined ? {} : { fit: options.fit }),
        ...(options.metadata === true ? { metadata: "full" } : {}),
        ...(options.token === true ? { token: true } : {}),
      };
      const path = `/services/${encodeURIComponent(options.service)}/vector`;
      const answer: JsonObject = await (options.url !== undefined
        ? callServer(options.url, "POST", path, request)
        : options.online !== undefined
          ? askStore(options, options.online, path, request)
          : withPlatform(options, "own", (platform) => platform.request("POST", path, request)));
      createOutput(options.json === true).result(answer, () => formatVector(answer));
    });
  return withStandardOptions(command);
}

async function getOfFile(options: GetOptions, entities: string): Promise<void> {
  const { service, out, url, fit, entity, request, metadata, token } = options;
  const alone = { "--entity": entity, "--request": request, "--metadata": metadata, "--token": token };
  const [unfit] = Object.entries(alone).find(([, given]) => given !== undefined) ?? [];
  if (unfit !== undefined || (out === undefined && options.json === true)) {
    throw new OnefoldError("REQUEST_INVALID", `--entities does not go with ${unfit ?? "--json alone"}`, {
      hint: unfit === undefined ? "name a file with --out" : "request data are columns of the file",
    });
  }
  const output = createOutput(options.json === true);
  const path = `/services/${encodeURIComponent(service)}/vectors`;
  const store = options.online === undefined ? null : await openStore(options, options.online);
  const askServer = (body: object): Promise<JsonObject> => callServer(url!, "POST", path, body);
  const askOpened = (body: object): Promise<JsonObject> => store!.request("POST", path, body);
  const ask = store !== null ? askOpened : url !== undefined ? askServer : undefined;
  // Beside a server or a store the registry is enough: what a service takes and gives.
  const report = await output
    .withProgress("get", (onProgress) =>
      withPlatform(options, ask === undefined ? "own" : "read", (platform) =>
        interruptible((signal) =>
          platform.batch.vectors(
            {
              service,
              entities,
              out: out ?? printPaced,
              ...(fit === undefined ? {} : { fit }),
              onProgress: (done) => onProgress({ phase: "rows", done, total: null }),
              signal,
            },
            ask,
          ),
        ),
      ),
    )
    .finally(() => store?.close());
  if (out === undefined) return;
  output.result(
    { out, rows: report.rowCount, features: report.features },
    () => `${formatCount(report.rowCount)} rows, ${report.features.length} features: ${out}`,
  );
}

/** As a server on the store would answer; nothing is kept for the audit. */
async function askStore(options: GetOptions, online: string, path: string, request: JsonObject): Promise<JsonObject> {
  const server = await openStore(options, online);
  try {
    return await server.request("POST", path, request);
  } finally {
    await server.close();
  }
}

async function openStore(options: GetOptions, online: string): Promise<OnlineServer> {
  const { openOnlineServer } = await import("../../platform/online/online-server.ts");
  const password = process.env["ONEFOLD_REDIS_PASSWORD"];
  return openOnlineServer({
    dataDir: options.data,
    online,
    ...(options.registry === undefined ? {} : { registry: options.registry }),
    ...(password === undefined ? {} : { onlinePassword: password }),
    definitions: async () => (hasDefinitions(options) ? requireDefinitions(options) : []),
    servingLogSampleRate: 0,
  });
}

function formatVector(answer: JsonObject): string {
  const features = answer["features"] as JsonObject;
  const metadata = answer["metadata"] as JsonObject | undefined;
  const details = metadata?.["features"] as Readonly<Record<string, JsonObject>> | undefined;
  const rows = Object.entries(features).map(([name, value]) => {
    const detail = details?.[name];
    const more =
      detail === undefined ? [] : ["status", "event_time", "window_start"].map((key) => String(detail[key] ?? "-"));
    return [name, formatCell(value), ...more];
  });
  const header = ["feature", "value", ...(details === undefined ? [] : ["status", "event time", "window start"])];
  const token = metadata?.["token"];
  return [formatTable(header, rows), ...(typeof token === "string" ? [`token: ${token}`] : [])].join("\n");
}
