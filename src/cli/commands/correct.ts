/** `onefold correct` and `onefold retract`: another event in the place of one that was let in, or none. */
import { Command, Option } from "commander";
import { ERROR_CODES, type ErrorCode, OnefoldError } from "../../base/errors.ts";
import { callServer } from "../http-call.ts";
import { type KafkaOptions, kafkaSettingsOf, withKafkaOptions } from "../kafka-options.ts";
import { parseObject } from "../option-values.ts";
import { createOutput } from "../output.ts";
import { asOwner, type StandardOptions, withPlatformOf, withStandardOptions } from "../standard-options.ts";

interface CorrectOptions extends StandardOptions, KafkaOptions {
  readonly archive?: string;
  readonly id: readonly string[];
  readonly row?: Readonly<Record<string, unknown>>;
  readonly url?: string;
}

type Corrections = readonly (
  | { readonly op: "retract"; readonly id: string }
  | { readonly op: "replace"; readonly id: string; readonly event: unknown }
)[];

export function correctCommand(): Command {
  return withCorrectionOptions(
    new Command("correct")
      .description("put another event in the place of one; what was known before stays known in training")
      .argument("<source>", "the stream that the event is of")
      .requiredOption("--id <id>", "id of the event", (id: string) => [id])
      .addOption(
        new Option("--row <json>", "the whole new event as one JSON object, with the same id")
          .argParser(parseObject)
          .makeOptionMandatory(),
      ),
    ({ id, row }) => [{ op: "replace", id: id[0]!, event: row }],
  );
}

export function retractCommand(): Command {
  return withCorrectionOptions(
    new Command("retract")
      .description("take events back; what was known before stays known in training")
      .argument("<source>", "the stream that the events are of")
      .requiredOption("--id <id...>", "ids of the events"),
    ({ id }) => id.map((one) => ({ op: "retract", id: one })),
  );
}

function withCorrectionOptions(command: Command, correctionsOf: (options: CorrectOptions) => Corrections): Command {
  return withStandardOptions(
    withKafkaOptions(command)
      .option("--url <address>", "ask a running server instead of opening the data folder")
      .addOption(
        new Option(
          "--archive <folder>",
          "offline tables of onefold worker: corrects events that come from Kafka, in their topic",
        ).conflicts("url"),
      )
      .action(async (source: string, options: CorrectOptions) => {
        const report = await reportOf(source, correctionsOf(options), options);
        const refused = report.outcomes.find(({ status }) => status === "rejected");
        if (refused !== undefined && report.corrected === 0) throw refusal(refused);
        createOutput(options.json === true).result(report, () =>
          report.outcomes
            .map(({ status, id, message }) => `${status} ${id}${message === undefined ? "" : `: ${message}`}`)
            .join("\n"),
        );
      }),
  );
}

async function reportOf(source: string, corrections: Corrections, options: CorrectOptions): Promise<Report> {
  const { url, archive } = options;
  if (archive !== undefined) {
    const { correctOnKafka } = await import("../../platform/kafka/correct-on-kafka.ts");
    const kafka = kafkaSettingsOf(options);
    return withPlatformOf(options, "read", {}, ({ registry }) =>
      correctOnKafka({ registry, kafka, archiveFolder: archive, source, corrections }),
    );
  }
  if (url !== undefined) {
    const path = `/events/${encodeURIComponent(source)}/corrections`;
    return (await callServer(url, "POST", path, { corrections })) as unknown as Report;
  }
  return asOwner(options, "own", {}, { work: "correct", asked: { source, corrections } }, (platform) =>
    platform.correct(source, corrections),
  );
}

interface Report {
  readonly corrected: number;
  readonly outcomes: readonly {
    readonly status: string;
    readonly id: string;
    readonly code?: string;
    readonly message?: string;
  }[];
}

function refusal({ code = "", message = "" }: Report["outcomes"][number]): OnefoldError {
  return new OnefoldError(code in ERROR_CODES ? (code as ErrorCode) : "INTERNAL", message);
}
