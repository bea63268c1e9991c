/** Rows of an offline table, as it is now. */
import type { Value } from "../schema/value.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { parquetSql } from "../offline-store/file-sql.ts";

/** `table` as `events/<source>` or `features/<view>@<version>`; none where there is no such table. */
export async function offlineRows(
  { offline, engine }: Pick<RuntimeContext, "offline" | "engine">,
  table: string,
  orderBy?: string,
): Promise<readonly Record<string, Value>[]> {
  const found = await offline.find(table);
  const files = found === null ? [] : (await found.snapshot()).files;
  if (files.length === 0) return [];
  const paths = files.map((file) => file.path);
  const order = orderBy === undefined ? "" : ` ORDER BY ${orderBy}`;
  return engine.rows(`SELECT * FROM ${parquetSql(paths, "union_by_name = true")}${order}`);
}
