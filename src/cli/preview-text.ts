/** A preview as JSON and as a table, with what differs from the preview before. */
import { OnefoldError, asOnefoldError } from "../base/errors.ts";
import { formatMicros } from "../base/micros.ts";
import type { Platform } from "../platform.ts";
import type { LocalEventsReport } from "../platform/local-events.ts";
import { valueToJson } from "../schema/check-value.ts";
import { formatCount } from "./progress.ts";
import { formatCell, formatTable } from "./table.ts";

type Preview = Awaited<ReturnType<Platform["preview"]>>;

export interface ShownRow {
  readonly key: string;
  readonly events: number;
  readonly lastEventTime: string | null;
  /** In the order of the features. */
  readonly values: readonly unknown[];
  readonly statuses: readonly string[];
  /** What values were in the preview before, by feature, where they differ. */
  readonly before?: Readonly<Record<string, unknown>>;
}

export interface ShownPreview {
  readonly asOf: string | null;
  readonly features: readonly string[];
  readonly rows: readonly ShownRow[];
  readonly eventsFolded: number;
  readonly eventsPoisoned: number;
  readonly firstPoison: string | null;
  readonly files?: LocalEventsReport;
}

/** `before` is the preview of the same view that was shown last. */
export function shownPreview(
  preview: Preview & { readonly files?: LocalEventsReport },
  before?: ShownPreview,
): ShownPreview {
  const { asOf, types, rows, ...rest } = preview;
  return {
    ...rest,
    asOf: asOf === null ? null : formatMicros(asOf),
    rows: rows.map(({ lastEventTime, values, ...row }) => {
      const shown = values.map((value, i) => valueToJson(value, types[i]!));
      const changed = before === undefined ? {} : changedValues(preview.features, row.key, shown, before);
      return {
        ...row,
        lastEventTime: lastEventTime === null ? null : formatMicros(lastEventTime),
        values: shown,
        ...(Object.keys(changed).length === 0 ? {} : { before: changed }),
      };
    }),
  };
}

function changedValues(
  features: readonly string[],
  key: string,
  values: readonly unknown[],
  before: ShownPreview,
): Record<string, unknown> {
  const row = before.rows.find((each) => each.key === key);
  if (row === undefined) return {};
  const changed = features.flatMap((feature, i): [string, unknown][] => {
    const at = before.features.indexOf(feature);
    const isSame = at < 0 || JSON.stringify(row.values[at]) === JSON.stringify(values[i]);
    return isSame ? [] : [[feature, row.values[at]]];
  });
  return Object.fromEntries(changed);
}

/** The table, and below it what else there is to say. */
export function formatPreview(preview: ShownPreview): string {
  const { features, rows, eventsPoisoned, firstPoison, files } = preview;
  const cell = (row: ShownRow, feature: string, i: number): string => {
    const { before = {} } = row;
    const value = formatCell(row.values[i]);
    return Object.hasOwn(before, feature) ? `${formatCell(before[feature])} -> ${value}` : value;
  };
  const table =
    rows.length === 0
      ? files === undefined
        ? "no events yet: take some in with `onefold ingest`, or preview a file of them with --events FILE"
        : "no events in the files"
      : formatTable(
          ["entity", "events", ...features],
          rows.map((row) => [row.key, String(row.events), ...features.map((feature, i) => cell(row, feature, i))]),
        );
  const poisoned =
    eventsPoisoned === 0
      ? []
      : [`${formatCount(eventsPoisoned)} events left the state as it was; on the first: ${firstPoison}`];
  return [table, ...poisoned, ...(files === undefined ? [] : formatReport(files))].join("\n");
}

function formatReport({
  rows,
  duplicates,
  rejected,
  reasons,
  ignoredColumns,
  absentColumns,
}: LocalEventsReport): string[] {
  const ofRows = `of ${formatCount(rows)} rows`;
  return [
    ...(duplicates === 0 ? [] : [`${formatCount(duplicates)} ${ofRows} are duplicates of an event id`]),
    ...(rejected === 0 ? [] : [`${formatCount(rejected)} ${ofRows} are refused:`]),
    ...reasons.map((reason) => `  ${reason.code} ${formatCount(reason.rows)}, the first: ${reason.first}`),
    ...(absentColumns.length === 0
      ? []
      : [`columns that the files do not all have, null: ${absentColumns.join(", ")}`]),
    ...(ignoredColumns.length === 0 ? [] : [`columns that the source does not have: ${ignoredColumns.join(", ")}`]),
  ];
}

/** The same error with the way out that a preview has: a file needs no data folder. */
export function previewError(thrown: unknown): OnefoldError {
  const error = asOnefoldError(thrown);
  if (error.code !== "SOURCE_UNKNOWN" && error.code !== "DATA_FOLDER_MISSING") return error;
  const { code, message, where, candidates } = error;
  return new OnefoldError(code, message, {
    hint: "preview a file of events with --events FILE, or register the source with `onefold apply` and take events in with `onefold ingest`",
    ...(where === undefined ? {} : { where }),
    ...(candidates === undefined ? {} : { candidates }),
    cause: thrown,
  });
}
