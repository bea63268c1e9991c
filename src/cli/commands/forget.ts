/** `onefold forget`: removes all that is kept of an entity. */
import { Command, Option } from "commander";
import { OnefoldError } from "../../base/errors.ts";
import type { ForgetReport } from "../../platform/forget/forget-entity.ts";
import type { KafkaForgetReport } from "../../platform/kafka/forget-on-kafka.ts";
import { type KafkaOptions, kafkaSettingsOf, withKafkaOptions } from "../kafka-options.ts";
import { createOutput, type Output } from "../output.ts";
import { formatCount } from "../progress.ts";
import { asOwner, type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";

interface ForgetCommandOptions extends StandardOptions, KafkaOptions {
  readonly shared?: true;
  readonly online?: string;
  readonly archive?: string;
}

export function forgetCommand(): Command {
  const command = new Command("forget")
    .description("remove all that is kept of an entity: events, states, feature rows, dead letters, served vectors")
    .argument("<entity>", "name of the entity")
    .argument("<key...>", "its key: one value for each key column, in the entity's order")
    .option("--shared", "also where its events are folded for others, whose values change")
    .option("--archive <folder>", "offline tables of onefold worker: forgets in sources on Kafka, too, beside workers")
    .addOption(new Option("--online <url>", "online store of onefold worker: redis://host:port").env("ONEFOLD_ONLINE"));
  withKafkaOptions(command).action(async (entity: string, key: string[], options: ForgetCommandOptions) => {
    const output = createOutput(options.json === true);
    const shared = options.shared === true;
    const onKafka = options.archive === undefined ? null : await forgetInWorkers(entity, key, options, output);
    const exceptKafka = onKafka !== null;
    const work = { work: "forget", asked: { entity, key, shared, exceptKafka } };
    const here = await asOwner(options, "own", {}, work, (platform) =>
      platform.forget(entity, key, { shared, exceptKafka }),
    );
    const report = onKafka === null ? here : { ...here, kafka: onKafka };
    output.result(report, () =>
      [textOf(here, onKafka === null), ...(onKafka === null ? [] : kafkaText(onKafka))].join("\n"),
    );
  });
  return withStandardOptions(command);
}

async function forgetInWorkers(
  entity: string,
  parts: readonly string[],
  options: ForgetCommandOptions,
  output: Output,
): Promise<KafkaForgetReport> {
  const { archive, online: onlineUrl = "", shared, data } = options;
  if (onlineUrl.trim() === "") {
    throw new OnefoldError("REQUEST_INVALID", "no online store is named", {
      hint: "give the --online redis://host:port of the workers, or ONEFOLD_ONLINE",
    });
  }
  const kafka = kafkaSettingsOf(options);
  const onlinePassword = process.env["ONEFOLD_REDIS_PASSWORD"];
  const { forgetOnKafka } = await import("../../platform/kafka/forget-on-kafka.ts");
  return output.withProgress("forget", (onProgress) =>
    withPlatformOf(options, "read", {}, ({ registry }) =>
      forgetOnKafka({
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

function kafkaText(report: KafkaForgetReport): string[] {
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
