/** `onefold forget`: removes all that is kept of an entity, or says what that would be. */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { ForgetReport } from "../../platform/forget/forget-entity.ts";
import type { ForgetPreview } from "../../platform/forget/forget-places.ts";
import type * as KafkaModule from "../../platform/kafka/forget-on-kafka.ts";
import { type KafkaOptions, kafkaSettingsOf, withKafkaOptions } from "../kafka-options.ts";
import { createOutput, type Output } from "../output.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface ForgetCommandOptions extends StandardOptions, KafkaOptions {
  readonly shared?: true;
  readonly dryRun?: true;
  readonly online?: string;
  readonly archive?: string;
}

interface Asked {
  readonly entity: string;
  readonly key: readonly string[];
  readonly options: ForgetCommandOptions;
}

export function forgetCommand(): Command {
  const command = new Command("forget")
    .description(
      "remove all that is kept of an entity: events and their ids, states, feature rows, dead letters, served vectors, profiles and sketches, details of alerts",
    )
    .argument("<entity>", "name of the entity")
    .argument("<key...>", "its key: one value for each key column, in the entity's order")
    .option("--shared", "also where its events are folded for others, whose values change")
    .option("--dry-run", "says what would be removed, and where; changes nothing")
    .option("--archive <folder>", "offline tables of onefold worker: forgets in sources on Kafka, too, beside workers")
    .addOption(new Option("--online <url>", "online store of onefold worker: redis://host:port").env("ONEFOLD_ONLINE"));
  withKafkaOptions(command).action(async (entity: string, key: string[], options: ForgetCommandOptions) => {
    const output = createOutput(options.json === true);
    await (options.dryRun === true ? preview : forget)({ entity, key, options }, output);
  });
  return withStandardOptions(command);
}

async function forget(asked: Asked, output: Output): Promise<void> {
  const { entity, key, options } = asked;
  const shared = options.shared === true;
  const exceptKafka = options.archive !== undefined;
  // Refused as a whole: nothing goes from topics that would then stay in the folder.
  if (exceptKafka) await previewHere(asked, false);
  const onKafka = exceptKafka
    ? await inWorkers(asked, output, ({ forgetOnKafka }, given) => forgetOnKafka(given))
    : null;
  const work = { work: "forget", asked: { entity, key, shared, exceptKafka } };
  const here = await asOwner(options, "own", {}, work, (platform) =>
    platform.forget(entity, key, { shared, exceptKafka }),
  );
  const report = onKafka === null ? here : { ...here, kafka: onKafka };
  output.result(report, () =>
    [textOf(here, onKafka === null), ...(onKafka === null ? [] : kafkaText(onKafka))].join("\n"),
  );
}

async function preview(asked: Asked, output: Output): Promise<void> {
  const here = await previewHere(asked, true);
  const onKafka =
    asked.options.archive === undefined
      ? null
      : await inWorkers(asked, output, ({ previewOnKafka }, given) => previewOnKafka(given));
  const report = { dry_run: true, ...here, ...(onKafka === null ? {} : { kafka: onKafka }) };
  output.result(report, () => previewText(here, onKafka).join("\n"));
}

/** What is kept in the data folder; without `places` only whether it may be forgotten. */
function previewHere({ entity, key, options }: Asked, places: boolean): Promise<ForgetPreview> {
  const given = { shared: options.shared === true, exceptKafka: options.archive !== undefined, places };
  const work = { work: "previewForgetting", asked: { entity, key, ...given } };
  return asOwner(options, "own", {}, work, (platform) => platform.previewForgetting(entity, key, given));
}

async function inWorkers<T>(
  { entity, key: parts, options }: Asked,
  output: Output,
  work: (module: typeof KafkaModule, given: KafkaModule.ForgetOnKafka) => Promise<T>,
): Promise<T> {
  const { archive, online: onlineUrl = "", shared, data } = options;
  if (onlineUrl.trim() === "") {
    throw new OnefoldError("REQUEST_INVALID", "no online store is named", {
      hint: "give the --online redis://host:port of the workers, or ONEFOLD_ONLINE",
    });
  }
  const kafka = kafkaSettingsOf(options);
  const onlinePassword = process.env["ONEFOLD_REDIS_PASSWORD"];
  const module = await import("../../platform/kafka/forget-on-kafka.ts");
  return output.withProgress("forget", (onProgress) =>
    withPlatformOf(options, "read", {}, ({ registry }) =>
      work(module, {
        registry,
        dataDir: data,
        kafka,
        onlineUrl,
        ...(onlinePassword === undefined ? {} : { onlinePassword }),
        archiveFolder: archive!,
        entity,
        parts,
        isShared: shared === true,
        onProgress,
      }),
    ),
  );
}

function textOf(report: ForgetReport, isAll: boolean): string {
  const { entity, key, sources, events, retractions, states, featureRows, deadLetters, servedVectors, refolded } =
    report;
  if (!isAll && sources.length === 0)
    return `forgotten: ${entity} ${key}: ${formatCount(servedVectors)} served vectors`;
  const counts = [
    [events, "events"],
    [retractions, "retractions"],
    [states, "states"],
    [featureRows, "feature rows"],
    [deadLetters, "dead letters"],
    [servedVectors, "served vectors"],
  ] as const;
  const removed = counts.map(([count, what]) => `${formatCount(count)} ${what}`).join(", ");
  const anew = refolded === 0 ? "" : `; ${formatCount(refolded)} states of others folded anew`;
  return `forgotten: ${entity} ${key}, in ${sources.length === 0 ? "no source" : sources.join(", ")}: ${removed}${anew}`;
}

function kafkaText(report: KafkaModule.KafkaForgetReport): string[] {
  const { sources, records, rows, states, ids, servedVectors, remains } = report;
  const counts = [
    [records, "records"],
    [rows, "rows"],
    [states, "states"],
    [ids, "ids"],
    [servedVectors, "served vectors"],
  ] as const;
  const removed = counts.map(([count, what]) => `${formatCount(count)} ${what}`).join(", ");
  const where = sources.length === 0 ? "no source" : sources.join(", ");
  return [`on Kafka, in ${where}: ${removed}`, ...remains.map((one) => `still there: ${one}`)];
}

function previewText(here: ForgetPreview, onKafka: KafkaModule.KafkaForgetPreview | null): string[] {
  const { entity, key } = here;
  const served = onKafka?.places.find(({ where }) => where === "serving-log");
  // The one log, looked through for both.
  const places = [
    ...here.places.filter(({ where }) => where !== "serving-log" || served === undefined),
    ...(onKafka?.places ?? []),
  ];
  if (places.length === 0) return [`${entity} ${key}: nothing is kept of it`];
  const rows = places.map(({ where, what, count, bytes }) => {
    return [where, what, count === null ? "" : formatCount(count), bytes === null ? "" : formatCount(bytes)];
  });
  return [
    `would be forgotten: ${entity} ${key}; nothing was changed`,
    formatTable(["where", "what", "count", "bytes"], rows),
    ...(onKafka?.remains ?? []).map((one) => `would still be there: ${one}`),
  ];
}
