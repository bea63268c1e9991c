/**
 * Label rows in the order the join wants them: by entity, then by how far each one sees.
 */
import { OnefoldError } from "../base/errors.ts";
import { sqlName, type QueryEngine } from "../offline-store/engine.ts";
import type { EntityKey } from "../schema/entity-key.ts";
import { FALLBACK_CODES, type ServedFallback } from "../fold/fallback.ts";
import { decodeVectorToken, type VectorToken } from "../schema/vector-token.ts";
import type { LabelRun } from "./point-in-time-join.ts";
import { spineEntityTable, type Spine } from "./spine.ts";

/** Ids of one entity by spine row. */
export async function entityIdsByRow(engine: QueryEngine, spine: Spine, entityIndex: number): Promise<Int32Array> {
  const ids = new Int32Array(spine.rowCount);
  const sql = `SELECT l.row, e.entity_id FROM spine_label l
    JOIN ${spineEntityTable(entityIndex)} e ON e.entity_key = l.key_${entityIndex}`;
  for await (const batch of engine.stream(sql, [{ as: "int32" }, { as: "int32" }])) {
    const rows = batch.columns[0] as Int32Array;
    const values = batch.columns[1] as Int32Array;
    for (let i = 0; i < batch.rowCount; i++) ids[rows[i]!] = values[i]!;
  }
  return ids;
}

/** Canonical keys of the label rows' entities, by id. */
export async function entityKeysById(engine: QueryEngine, entityIndex: number): Promise<EntityKey[]> {
  const rows = await engine.rows(`SELECT entity_key FROM ${spineEntityTable(entityIndex)} ORDER BY entity_id`);
  return rows.map((row) => String(row["entity_key"]));
}

/**
 * The tokens in a column of the spine, by row. Throws `SPINE_INVALID` where rows have none, `TOKEN_INVALID` where they have what is
 * no token, naming the first such row and how many there are.
 */
export async function readTokens(engine: QueryEngine, column: string): Promise<readonly VectorToken[]> {
  const tokens: VectorToken[] = [];
  const absent: number[] = [];
  const unreadable: number[] = [];
  let cause: unknown;
  let row = 0;
  const sql = `SELECT s.${sqlName(column)}::VARCHAR FROM spine s POSITIONAL JOIN spine_label l ORDER BY l.row`;
  for await (const batch of engine.stream(sql, [{ as: "text" }])) {
    for (const text of batch.columns[0] as readonly (string | null)[]) {
      row++;
      if (text === null) absent.push(row);
      else {
        try {
          tokens.push(decodeVectorToken(text));
        } catch (error) {
          unreadable.push(row);
          cause ??= error;
        }
      }
    }
  }
  if (absent.length > 0) throw badTokens("SPINE_INVALID", `column ${column} is null`, absent);
  if (unreadable.length > 0) {
    throw badTokens("TOKEN_INVALID", `column ${column} holds what is not a vector token`, unreadable, cause);
  }
  return tokens;
}

function badTokens(
  code: "SPINE_INVALID" | "TOKEN_INVALID",
  what: string,
  rows: readonly number[],
  cause?: unknown,
): OnefoldError {
  return new OnefoldError(code, `${what} in ${rows.length} label row${rows.length === 1 ? "" : "s"}`, {
    where: `row ${rows[0]} is the first (counted from 1, without a header)`,
    hint: "give the token exactly as the response or its metadata carried it",
    cause,
  });
}

/** One label that sees what had been folded for its entity when its vector was served. */
export interface ServedLabel {
  readonly entity: number;
  /** Offset of the last event folded; null where the entity was unseen. */
  readonly lastOffset: number | null;
  readonly asOf: number;
  readonly row: number;
  /** What was served in place of the view's values. */
  readonly fallback?: ServedFallback | undefined;
}

/** Labels in the join's order: by entity, then by the last offset folded. */
export function labelsByOffset(labels: readonly ServedLabel[]): LabelRun {
  const count = labels.length;
  const limitOf = (label: ServedLabel): number => label.lastOffset ?? Number.NEGATIVE_INFINITY;
  const sorted = labels.toSorted((a, b) => {
    if (a.entity !== b.entity) return a.entity - b.entity;
    const x = limitOf(a);
    const y = limitOf(b);
    return x === y ? a.row - b.row : x < y ? -1 : 1;
  });
  return {
    count,
    entity: Int32Array.from(sorted, (label) => label.entity),
    limit: Float64Array.from(sorted, limitOf),
    asOf: Float64Array.from(sorted, (label) => label.asOf),
    row: Int32Array.from(sorted, (label) => label.row),
    ...(labels.every(({ fallback }) => fallback === undefined) ? {} : { fallback: Uint8Array.from(sorted, codeOf) }),
  };
}

function codeOf({ fallback }: ServedLabel): number {
  return fallback === undefined ? 0 : FALLBACK_CODES[fallback];
}
