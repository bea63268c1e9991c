/**
 * The entities that a run of corrections takes events from, folded anew for one view.
 *
 *     archive, before the run     e0(a) e1(b) e2(a)       without the ids that the run takes back
 *     run                         r3(b) e4(b)             which entities each retraction hits
 *
 * The state behind the run is then the fold, in log order, of the events that count: those of the archive here, the
 * run's own by the view's runner.
 */
import { OnefoldError } from "../base/errors.ts";
import type { SourceDefinition } from "../define/definition.ts";
import { deriveForView, keyFromStored } from "../fold/derive.ts";
import type { ViewState } from "../fold/view-fold.ts";
import { type QueryEngine, sqlText } from "../offline-store/engine.ts";
import type { EventFiles } from "../offline-store/event-archive.ts";
import { withKeyedEvents } from "../offline-store/event-reader.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import type { RefoldedRun } from "./correction-run.ts";
import { foldEntities } from "./entity-fold.ts";
import { isRetraction, type LogEvent } from "./event.ts";
import { entityOf } from "./fold-letters.ts";
import type { PipelineView } from "./view-runner.ts";

export interface RefoldRequest {
  readonly source: SourceDefinition;
  readonly view: Pick<PipelineView, "definition" | "fold">;
  readonly engine: QueryEngine;
  /** Hold every event before the run. */
  readonly files: EventFiles;
  /** That the run is in, of events in several. */
  readonly partition?: number;
  /** Of the partition: events that count no more, though the files have them. */
  readonly withoutOffsets?: readonly number[];
  /** Whether there may be an event of an id before the run; of none of them it need not be looked for. */
  mayHave?(id: string): boolean;
  readonly run: readonly LogEvent[];
}

/** Throws `TABLE_INVALID` where the files end before the run. */
export async function refoldRun(request: RefoldRequest): Promise<RefoldedRun<ViewState>> {
  const { run } = request;
  refuseLackingEvents(request);
  const ids = [...new Set(run.flatMap((event) => (isRetraction(event) ? [event.id!] : [])))];
  const mayBe = ids.filter((id) => request.mayHave?.(id) !== false);
  const { hit, affected, takenBack } = walkRun(request, await keysOfIds(request, mayBe));
  const { engine, files, source, view, partition, withoutOffsets = [] } = request;
  const keys = [...affected];
  const before = { beforeOffset: run[0]!.offset, withoutIds: ids, withoutOffsets };
  const asked = { engine, files, source, view, keys, partition, ...before };
  return { hit, takenBack, states: await foldEntities(asked) };
}

/** Entities would be folded without the events that the files lack. In several partitions the caller sees to it. */
function refuseLackingEvents({ source, files, partition, run }: RefoldRequest): void {
  const from = run[0]!.offset;
  if (partition !== undefined || files.liveEnd >= from) return;
  throw new OnefoldError(
    "TABLE_INVALID",
    `a correction at ${from} cannot be folded from a table whose events end at ${files.liveEnd}`,
    {
      where: `events/${source.name}`,
      hint: "the table was restored while it was read: what it lacks is archived from the log, and then the correction is folded",
    },
  );
}

/** Entities of the events before the run that count up to it, by id. */
async function keysOfIds(request: RefoldRequest, ids: readonly string[]): Promise<Map<string, Set<EntityKey>>> {
  const { engine, files, source, view, run } = request;
  const keys = new Map<string, Set<EntityKey>>();
  if (ids.length === 0) return keys;
  const { key } = view.definition;
  const asked = {
    files,
    source,
    keyColumns: key,
    derivedKey: keyFromStored(source, key, view.fold),
    beforeOffset: run[0]!.offset,
    partition: request.partition,
    withoutOffsets: request.withoutOffsets ?? [],
  };
  const rows = await withKeyedEvents(engine, asked, (relation) =>
    engine.rows(
      `SELECT DISTINCT _id AS id, _key AS key FROM ${relation} WHERE _id IN (${ids.map(sqlText).join(", ")})`,
    ),
  );
  for (const row of rows) add(keys, String(row["id"]), String(row["key"]));
  return keys;
}

function add(keys: Map<string, Set<EntityKey>>, id: string, key: EntityKey): void {
  const before = keys.get(id);
  if (before === undefined) keys.set(id, new Set([key]));
  else before.add(key);
}

/** `counting` holds, by id, the entities of events that count before the run; it is moved on along the run. */
function walkRun(
  { source, view, run }: RefoldRequest,
  counting: Map<string, Set<EntityKey>>,
): { hit: Map<number, EntityKey[]>; affected: Set<EntityKey>; takenBack: Set<number> } {
  const derivation = deriveForView(view.definition, source);
  const hit = new Map<number, EntityKey[]>();
  const affected = new Set<EntityKey>();
  const takenBack = new Set<number>();
  const own = new Map<string, number>();
  for (const event of run) {
    const id = event.id!;
    if (isRetraction(event)) {
      const keys = [...(counting.get(id) ?? [])];
      counting.delete(id);
      hit.set(event.offset, keys);
      for (const key of keys) affected.add(key);
      const offset = own.get(id);
      if (offset !== undefined) takenBack.add(offset);
      continue;
    }
    own.set(id, event.offset);
    const entity = entityOf(view.fold, derivation, event);
    if ("key" in entity) add(counting, id, entity.key);
  }
  return { hit, affected, takenBack };
}
