/**
 * The grammar of a Delta log: one action a line, as the Delta transaction protocol names them.
 *
 *     {"commitInfo":{...}}  {"protocol":{...}}  {"metaData":{...}}  {"add":{...}}  {"remove":{...}}  {"txn":{...}}
 *
 * Source: github.com/delta-io/delta, PROTOCOL.md (reader version 1, writer version 2).
 */
import { OnefoldError } from "../base/errors.ts";
import type { Column, ValueType } from "../schema/value.ts";
import type { TablePartition, TableSchema } from "./offline-store.ts";

export interface ProtocolAction {
  readonly minReaderVersion: number;
  readonly minWriterVersion: number;
}

export interface MetaDataAction {
  readonly id: string;
  readonly name?: string | null;
  readonly format: { readonly provider: string; readonly options?: Readonly<Record<string, string>> };
  readonly schemaString: string;
  readonly partitionColumns: readonly string[];
  readonly configuration: Readonly<Record<string, string>>;
  readonly createdTime?: number | null;
}

export interface AddAction {
  /** Relative to the table's folder, URI-encoded. */
  readonly path: string;
  readonly partitionValues: Readonly<Record<string, string | null>>;
  readonly size: number;
  readonly modificationTime: number;
  readonly dataChange: boolean;
  readonly stats?: string | null;
  readonly tags?: Readonly<Record<string, string>> | null;
}

export interface RemoveAction {
  readonly path: string;
  readonly deletionTimestamp?: number | null;
  readonly dataChange: boolean;
  readonly extendedFileMetadata?: boolean | null;
  readonly partitionValues?: Readonly<Record<string, string | null>> | null;
  readonly size?: number | null;
  readonly tags?: Readonly<Record<string, string>> | null;
}

export interface TxnAction {
  readonly appId: string;
  readonly version: number;
  readonly lastUpdated?: number | null;
}

export interface DeltaAction {
  readonly commitInfo?: Readonly<Record<string, unknown>> | null;
  readonly protocol?: ProtocolAction | null;
  readonly metaData?: MetaDataAction | null;
  readonly add?: AddAction | null;
  readonly remove?: RemoveAction | null;
  readonly txn?: TxnAction | null;
}

export const READER_VERSION: number = 1;
export const WRITER_VERSION: number = 2;

/** Lines of a commit file. Throws `TABLE_INVALID` naming the file and line. */
export function parseActions(text: string, where: string): DeltaAction[] {
  const actions: DeltaAction[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      actions.push(JSON.parse(line) as DeltaAction);
    } catch (cause) {
      throw new OnefoldError("TABLE_INVALID", "a table commit holds a line that is not JSON", {
        where: `${where}:${index + 1}`,
        cause,
      });
    }
  }
  return actions;
}

export function formatActions(actions: readonly DeltaAction[]): string {
  return actions.map((action) => `${JSON.stringify(action)}\n`).join("");
}

/** In the metadata of the partition column: what it is the month of. */
const MONTH_OF = "onefold.month_of";

/** Delta's schema text; a partition column comes last. */
export function formatSchema({ columns, partitionBy }: TableSchema): string {
  const fields = columns.map((column) => ({
    name: column.name,
    type: deltaType(column.type),
    nullable: column.nullable,
    metadata: {
      ...(column.description === undefined ? {} : { comment: column.description }),
      ...(column.type.name === "int64" && column.type.wide === true ? { "onefold.wide": true } : {}),
    },
  }));
  const months =
    partitionBy === undefined
      ? []
      : [
          {
            name: partitionBy.column,
            type: "string",
            nullable: true,
            metadata: { comment: `UTC month of ${partitionBy.of}`, [MONTH_OF]: partitionBy.of },
          },
        ];
  return JSON.stringify({ type: "struct", fields: [...fields, ...months] });
}

/** The columns that stand in the files, and how the files lie. Throws `TABLE_INVALID` for a type the platform does not have. */
export function parseSchema(schemaString: string, partitionColumns: readonly string[], where: string): TableSchema {
  const { fields } = JSON.parse(schemaString) as {
    fields: { name: string; type: unknown; nullable: boolean; metadata?: Record<string, unknown> }[];
  };
  const months = fields.flatMap(({ name, metadata }): TablePartition[] => {
    const of = metadata?.[MONTH_OF];
    return name === "_month" && typeof of === "string" && partitionColumns.includes(name) ? [{ column: name, of }] : [];
  });
  const stored = fields.filter(({ name }) => !partitionColumns.includes(name));
  const columns = stored.map((field): Column => {
    const type = platformType(field.type, `${where}: column ${field.name}`);
    const comment = field.metadata?.["comment"];
    const wide = type.name === "int64" && field.metadata?.["onefold.wide"] === true;
    return {
      name: field.name,
      type: wide ? { name: "int64", wide: true } : type,
      nullable: field.nullable,
      ...(typeof comment === "string" ? { description: comment } : {}),
    };
  });
  return { columns, ...(months[0] === undefined ? {} : { partitionBy: months[0] }) };
}

const SCALARS = {
  int64: "long",
  float64: "double",
  string: "string",
  bytes: "binary",
  bool: "boolean",
  timestamp: "timestamp",
} as const;

function deltaType(type: ValueType): unknown {
  if (type.name !== "array") return SCALARS[type.name];
  return { type: "array", elementType: deltaType(type.element), containsNull: true };
}

function platformType(type: unknown, where: string): ValueType {
  if (typeof type === "object" && type !== null && (type as { type?: unknown }).type === "array") {
    return { name: "array", element: platformType((type as { elementType?: unknown }).elementType, where) };
  }
  for (const [name, delta] of Object.entries(SCALARS)) {
    if (delta === type) return { name: name as keyof typeof SCALARS };
  }
  throw new OnefoldError("TABLE_INVALID", `a table column has the type ${JSON.stringify(type)}`, { where });
}
