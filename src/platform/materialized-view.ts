/**
 * `platform.materialize`: the feature rows of past minutes that a view's table lacks.
 */
import { OnefoldError } from "../base/errors.ts";
import type { Micros } from "../base/micros.ts";
import { formatViewName } from "../define/definition.ts";
import { openFeatureRowTable } from "../offline-store/feature-row-table.ts";
import { pastFeatureRows } from "../training/materialize.ts";
import type { OnProgress, RuntimeContext } from "./runtime-context.ts";
import type { SourceRuntimes } from "./source-runtimes.ts";

export interface MaterializeOptions {
  readonly name: string;
  /** Default: the highest. */
  readonly version?: number;
  /** Minutes that begin at or after this. Default: all. */
  readonly from?: Micros;
  /** Minutes that end at or before this. Default: up to now. */
  readonly to?: Micros;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface MaterializeReport {
  /** `view@version`. */
  readonly view: string;
  /** Rows that were not in the table. */
  readonly rows: number;
}

/** Throws `VIEW_UNKNOWN`, `DEFINITION_INVALID` for a view without a table, `TABLE_CONFLICT`, `CANCELLED`. */
export async function materialize(
  context: RuntimeContext,
  sources: SourceRuntimes,
  { name, version, from, to, onProgress, signal }: MaterializeOptions,
): Promise<MaterializeReport> {
  const view = context.catalog.view(name, version);
  const { definition, entity, source } = view;
  if (!definition.offline) {
    throw new OnefoldError("DEFINITION_INVALID", `view ${view.name} is declared with offline: false`, {
      where: view.name,
      hint: "feature rows are written for views with offline: true",
    });
  }
  return sources.get(source.name).withClosedMinutes(async (closed, archive) => {
    const engine = await context.openEngine();
    try {
      const rows = pastFeatureRows({
        view,
        files: await archive.files(),
        engine,
        from: from ?? Number.NEGATIVE_INFINITY,
        to: Math.min(to ?? Number.POSITIVE_INFINITY, closed),
        ...(signal === undefined ? {} : { signal }),
        ...(onProgress === undefined
          ? {}
          : { onProgress: (done, total) => onProgress({ phase: `events of ${view.name}`, done, total }) }),
      });
      const table = await openFeatureRowTable(context.offline, context.engine, definition, entity);
      return { view: formatViewName(definition), rows: await table.addMissing(rows) };
    } finally {
      await engine.close();
    }
  });
}
