/**
 * The manifest of a training set, put together from what it was planned as and what came of it.
 */
import { formatMicros, type Micros } from "../base/micros.ts";
import { formatType } from "../schema/value.ts";
import { formatLogEnd, type LogSnapshot } from "./log-end.ts";
import type { GeneratedRows, Knowledge, ServiceRecord, SplitPart, TrainingManifest } from "./manifest.ts";
import type { ReplayResult } from "./replay-view.ts";
import type { RowGroup } from "./row-groups.ts";
import type { PlannedService } from "./service-plan.ts";
import { NO_ROWS, type RowCounts } from "./set-chunks.ts";
import type { Spine } from "./spine.ts";
import type { TrainingPlan } from "./training-plan.ts";
import type { ViewPass } from "./view-passes.ts";

/** What came of each view, by `view@version`. */
export class ViewResults {
  readonly #results = new Map<string, Pick<ReplayResult, "eventsFolded" | "eventsPoisoned"> & { epochs: number[] }>();

  add({ view, epoch }: ViewPass, { eventsFolded, eventsPoisoned }: ReplayResult): void {
    const before = this.of(view.name);
    this.#results.set(view.name, {
      eventsFolded: eventsFolded + before.eventsFolded,
      eventsPoisoned: eventsPoisoned + before.eventsPoisoned,
      epochs: before.epochs.includes(epoch) ? before.epochs : [...before.epochs, epoch],
    });
  }

  of(view: string): Pick<ReplayResult, "eventsFolded" | "eventsPoisoned"> & { readonly epochs: number[] } {
    return this.#results.get(view) ?? { eventsFolded: 0, eventsPoisoned: 0, epochs: [] };
  }
}

export interface ManifestParts {
  readonly plan: TrainingPlan;
  readonly groups: readonly RowGroup[];
  readonly snapshots: ReadonlyMap<string, LogSnapshot>;
  readonly results: ViewResults;
  readonly spine: Spine;
  readonly generated: GeneratedRows | null;
  readonly knowledge: Knowledge;
  readonly boundary: "inclusive" | "exclusive";
  readonly rowsAfterLog: number;
  readonly splits: readonly SplitPart[] | null;
  /** Of each column, in their order. */
  readonly rowCounts: readonly RowCounts[];
  readonly created: Micros;
}

export function manifestOf(parts: ManifestParts, output: TrainingManifest["output"]): TrainingManifest {
  const { plan, groups, snapshots, results, spine, knowledge, rowCounts } = parts;
  const views = new Map(groups.flatMap(({ join }) => join.views).map((view) => [view.name, view]));
  const served = groups.flatMap((group) => group.services.map((one) => ({ group, ...one })));
  const onDemand = served.flatMap(({ planned }) => planned.onDemand);
  return {
    manifest: 2,
    created: formatMicros(parts.created),
    services: served.map(({ group, place, planned }): ServiceRecord => {
      const fits = fitsOf(planned, group.programOf, spine.rowCount);
      const isOne = fits.length === 1 && fits[0]!.rows === spine.rowCount;
      return {
        name: planned.service,
        fingerprint: planned.fingerprint,
        fit: isOne ? { version: fits[0]!.version, sha256: fits[0]!.sha256 } : null,
        fits,
        tokenColumn: spine.tokenColumns[place] ?? null,
      };
    }),
    views: [...views.values()].map(({ name, view }) => ({
      name: view.definition.name,
      version: view.definition.version,
      fingerprint: view.fingerprint,
      entity: view.entity.name,
      source: view.source.name,
      ...results.of(name),
    })),
    onDemandViews: onDemand.filter(
      ({ name, version }, i) => onDemand.findIndex((one) => one.name === name && one.version === version) === i,
    ),
    sources: [...snapshots].map(([name, { files, logEnd }]) => ({
      name,
      epoch: files.epoch,
      historyEnd: files.historyEnd,
      liveEnd: files.liveEnd,
      logEnd: formatLogEnd(logEnd),
    })),
    knowledge,
    boundary: knowledge === "as-served" ? null : parts.boundary,
    spine: {
      path: spine.path,
      generated: parts.generated,
      sha256: spine.sha256,
      rows: spine.rowCount,
      timeColumn: spine.timeColumn,
      requestColumns: plan.request.map((column) => column.name),
      keyColumns: Object.fromEntries(plan.entities.map((entity, index) => [entity.name, spine.keyColumns[index]!])),
      rowsAfterLog: parts.rowsAfterLog,
    },
    splits: parts.splits,
    output,
    features: plan.columns
      .flat()
      .map(({ name, service, output: { name: serviceFeature, from, feature, type } }, i) => ({
        name,
        service,
        serviceFeature,
        view: from,
        feature,
        type: formatType(type),
        statuses: (rowCounts[i] ?? NO_ROWS).statuses,
        rowsWithLaterWindow: (rowCounts[i] ?? NO_ROWS).withLaterWindow,
      })),
  };
}

/** The fits that rows were transformed with, by version. */
function fitsOf({ programs }: PlannedService, programOf: Int32Array | null, rowCount: number): ServiceRecord["fits"] {
  const rows = programs.map(() => 0);
  if (programOf === null) rows[0] = rowCount;
  else for (const place of programOf) rows[place]!++;
  const fits = programs.flatMap(({ fit, fingerprint }, place) => {
    if (fit === null || (rows[place] === 0 && rowCount > 0)) return [];
    return [{ version: fit.version, sha256: fit.sha256, fingerprint, rows: rows[place]! }];
  });
  return fits.sort((a, b) => a.version - b.version);
}
