/** The options that say what a preview is computed on: how many entities, and of which events. */
import { type Command, Option } from "commander";
import type { LocalEvents } from "../platform/local-events.ts";
import { collect, collectPair, parseCount } from "./option-values.ts";

export interface PreviewInputs {
  readonly sample: number;
  readonly events?: readonly string[];
  readonly knownTime?: string;
  readonly map?: Readonly<Record<string, string>>;
  readonly passOver?: readonly string[];
}

export function withPreviewInputs(command: Command): Command {
  return command
    .addOption(
      new Option("--sample <entities>", "how many entities, those with the newest events")
        .default(10)
        .argParser(parseCount),
    )
    .addOption(
      new Option("--events <file...>", "on these Parquet, CSV or NDJSON files, with no data folder").conflicts("data"),
    )
    .addOption(new Option("--known-time <column>", "column of the files that says when each row was known"))
    .addOption(
      new Option("--map <column=file_column>", "file column of a source's column, where the names differ").argParser(
        collectPair,
      ),
    )
    .addOption(
      new Option(
        "--pass-over <column>",
        "file column that is not read, though it is called nearly as one that the file lacks",
      ).argParser(collect),
    );
}

/** Null where the events are those of the data folder. The caller closes it. */
export async function localEventsOf({ events, knownTime, map, passOver }: PreviewInputs): Promise<LocalEvents | null> {
  if (events === undefined) return null;
  const { openLocalEvents } = await import("../platform.ts");
  return openLocalEvents({
    files: events,
    ...(knownTime === undefined ? {} : { knownTimeColumn: knownTime }),
    ...(map === undefined ? {} : { columnMap: map }),
    ...(passOver === undefined ? {} : { passOver }),
  });
}
