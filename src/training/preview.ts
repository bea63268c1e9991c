/**
 * A view's values on a sample of history, computed from its definition alone: nothing is registered or stored.
 */
import type { Micros } from "../base/micros.ts";
import type { EntityDefinition, SourceDefinition, ViewDefinition } from "../define/definition.ts";
import { compileViewFold } from "../fold/compile.ts";
import { keyFromStored } from "../fold/derive.ts";
import { type StatusName, STATUS_NAMES } from "../fold/view-fold.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { Value, ValueType } from "../schema/value.ts";
import { newestKeys, type SampleKeeper } from "./entity-sample.ts";
import { createEntityTable } from "./entity-table.ts";
import { labelsByOffset } from "./label-runs.ts";
import type { TrainingPorts } from "./ports.ts";
import { replayView } from "./replay-view.ts";

export interface PreviewRequest {
  readonly ports: Pick<TrainingPorts, "archive" | "openEngine">;
  readonly view: ViewDefinition;
  /** Its archive must exist; the view need not. */
  readonly source: SourceDefinition;
  readonly entity: EntityDefinition;
  /** Entities to look at; default: the `entityCount` with the newest events. */
  readonly keys?: readonly EntityKey[];
  /** Default 20. */
  readonly entityCount?: number;
  /** Default: when the newest archived event became known. */
  readonly asOf?: Micros;
  /** Keeps the sampled events for the next preview; its engine is used then. */
  readonly keeper?: SampleKeeper;
  readonly signal?: AbortSignal;
}

export interface PreviewRow {
  readonly key: EntityKey;
  /** Events folded. */
  readonly events: number;
  /** Newest effective time folded; null for an unseen entity. */
  readonly lastEventTime: Micros | null;
  /** In the order of the view's features. */
  readonly values: readonly Value[];
  readonly statuses: readonly StatusName[];
}

export interface Preview {
  readonly asOf: Micros | null;
  readonly features: readonly string[];
  /** Of each feature. */
  readonly types: readonly ValueType[];
  /** Newest entities first; none where the archive is empty. */
  readonly rows: readonly PreviewRow[];
  readonly eventsFolded: number;
  /** Events that left the state as it was, because a predicate or custom function threw on them. */
  readonly eventsPoisoned: number;
  /** What the first of them threw. */
  readonly firstPoison: string | null;
}

/** Each entity is folded from its whole history, so the values are the ones serving would give. Throws `DEFINITION_INVALID`, `SOURCE_UNKNOWN`. */
export async function preview(request: PreviewRequest): Promise<Preview> {
  const { ports, view: definition, source, entity } = request;
  const fold = compileViewFold(definition, source, entity);
  const features = fold.features.map((feature) => feature.name);
  const types = fold.features.map((feature) => feature.type);
  const files = await (await ports.archive(source.name)).files();
  const asOf = request.asOf ?? (Number.isFinite(files.lastKnownTime) ? (files.lastKnownTime as Micros) : null);
  if (asOf === null) return { asOf, features, types, rows: [], eventsFolded: 0, eventsPoisoned: 0, firstPoison: null };
  const engine = request.keeper?.engine ?? (await ports.openEngine());
  try {
    const derivedKey = keyFromStored(source, definition.key, fold);
    const { entityCount = 20 } = request;
    const wanted = { files, source, keyColumns: definition.key, derivedKey, entityCount, asOf };
    const sample =
      request.keys !== undefined
        ? { keys: request.keys, files }
        : request.keeper !== undefined
          ? await request.keeper.sample(wanted)
          : { keys: await newestKeys(engine, wanted), files };
    const { keys } = sample;
    await createEntityTable(engine, "previewed_entities", keys);
    const rows: PreviewRow[] = Array.from({ length: keys.length });
    const labels = labelsByOffset(keys.map((_, row) => ({ entity: row, lastOffset: asOf, asOf, row })));
    const result = await replayView({
      engine,
      view: { definition, source, fold },
      files: sample.files,
      entityTable: "previewed_entities",
      bound: "known",
      labels,
      columns: [],
      onRead: (label, state, read) => {
        const row = labels.row[label]!;
        const lastEventTime = state === null || state.eventCount === 0 ? null : (state.lastEventTime as Micros);
        rows[row] = {
          key: keys[row]!,
          events: state?.eventCount ?? 0,
          lastEventTime,
          values: [...read.values],
          statuses: read.statuses.map((status) => STATUS_NAMES[status]!),
        };
      },
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    const { eventsFolded, eventsPoisoned, firstPoison } = result;
    return { asOf, features, types, rows, eventsFolded, eventsPoisoned, firstPoison };
  } finally {
    if (request.keeper === undefined) await engine.close();
  }
}
