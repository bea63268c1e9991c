/** `onefold sources`: what is registered, and of polled and batch ones how their reads go. */
import { Command, Option } from "commander";
import { systemClock } from "../../base/clock.ts";
import { formatDuration } from "../../base/micros.ts";
import type { SourceDefinition } from "../../define/definition.ts";
import { describeType, labelOf } from "../../schema/value.ts";
import { type BatchStatus, batchStatusOf } from "../batch-status-text.ts";
import { createOutput } from "../output.ts";
import { type AnsweredStatus, dueText, pollStatusOf } from "../poll-status-text.ts";
import { type StandardOptions, withPlatform, withStandardOptions } from "../standard-options.ts";
import { formatTable } from "../table.ts";

interface SourcesOptions extends StandardOptions {
  readonly tag?: string;
  readonly owner?: string;
}

export function sourcesCommand(): Command {
  const command = new Command("sources")
    .description("list sources, and how the polls of polled ones and the reads of batch sources go")
    .addOption(new Option("--tag <tag>", "with this tag"))
    .addOption(new Option("--owner <name>", "of this owner"))
    .action(async (options: SourcesOptions) => {
      const rows = await withPlatform(options, "read", async ({ registry, dataDir }) => {
        const { tag, owner } = options;
        const found = registry.find({
          ...(tag === undefined ? {} : { tag }),
          ...(owner === undefined ? {} : { owner }),
        });
        const names = new Set(found.map(({ definition }) => definition.name));
        const sources = registry.sources().filter(({ definition }) => names.has(definition.name));
        return Promise.all(
          sources.map(async ({ definition, createdAt }) =>
            rowOf(
              definition,
              createdAt,
              await pollStatusOf(dataDir, definition),
              await batchStatusOf(dataDir, definition),
            ),
          ),
        );
      });
      createOutput(options.json === true).result({ sources: rows }, () =>
        formatTable(
          ["source", "kind", "columns", "every", "last success", "next read", "failing since success", "last error"],
          rows.map(({ name, kind, columns, poll, batch }) => {
            const read = poll ?? batch;
            return [
              name,
              kind,
              String(columns.length),
              poll?.every ?? (batch === null ? "-" : (batch.schedule ?? "by hand")),
              read === null ? "-" : (read.last_success_at ?? "never"),
              nextRead(poll, batch),
              read === null ? "-" : String(read.failures),
              errorText(read?.last_error ?? null),
            ];
          }),
        ),
      );
    });
  return withStandardOptions(command);
}

interface SourceRow {
  readonly name: string;
  readonly kind: SourceDefinition["kind"];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly event_time: string;
  readonly id: string | null;
  readonly poll: ({ readonly url: string; readonly every: string } & AnsweredStatus) | null;
  readonly batch: BatchStatus | null;
  readonly owner: string | null;
  readonly tags: readonly string[];
  readonly description: string | null;
  readonly created_at: string;
}

function nextRead(poll: SourceRow["poll"], batch: BatchStatus | null): string {
  if (poll !== null) return dueText(poll.next_due_at, systemClock.now());
  if (batch === null || batch.schedule === null) return "-";
  return batch.next_due_at === null ? "nobody reads" : dueText(batch.next_due_at, systemClock.now());
}

function errorText(error: AnsweredStatus["last_error"]): string {
  return error === null ? "-" : `${error.code}: ${error.message}`;
}

function rowOf(
  definition: SourceDefinition,
  createdAt: string,
  status: AnsweredStatus | null,
  batch: BatchStatus | null,
): SourceRow {
  const poll = definition.kind === "stream" ? definition.poll : undefined;
  return {
    name: definition.name,
    kind: definition.kind,
    columns: definition.columns.map((column) => ({ name: labelOf(column), ...describeType(column.type) })),
    event_time: definition.eventTime,
    id: definition.id ?? null,
    poll:
      poll === undefined || status === null
        ? null
        : { url: poll.url, every: formatDuration(poll.everyMicros), ...status },
    batch,
    owner: definition.owner ?? null,
    tags: definition.tags ?? [],
    description: definition.description ?? null,
    created_at: createdAt,
  };
}
