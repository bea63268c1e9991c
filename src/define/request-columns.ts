/**
 * What a request must carry for a list of features: the request columns of all on-demand views among them
 * and behind them, each once.
 */
import { type Column, formatType, sameType } from "../schema/value.ts";
import { type FeatureReference, formatViewName, type OnDemandDefinition } from "./definition.ts";

export interface RequestColumns {
  readonly columns: readonly Column[];
  /** Sentences about columns that two on-demand views want in different types. */
  readonly problems: readonly string[];
}

/** `find` gives null for what is no on-demand view. A column is nullable where all that want it allow null. */
export function requestColumnsOf(
  features: readonly FeatureReference[],
  find: (name: string, version: number | "dev") => OnDemandDefinition | null,
): RequestColumns {
  const columns = new Map<string, { readonly column: Column; readonly of: string }>();
  const problems: string[] = [];
  const visited = new Set<OnDemandDefinition>();
  const visit = (references: readonly FeatureReference[]): void => {
    for (const { view, version } of references) {
      const definition = find(view, version);
      if (definition === null || visited.has(definition)) continue;
      visited.add(definition);
      visit(definition.inputs);
      for (const column of definition.request) {
        const before = columns.get(column.name);
        const of = formatViewName(definition);
        if (before === undefined) columns.set(column.name, { column, of });
        else if (!sameType(before.column.type, column.type)) {
          const types = [formatType(before.column.type), formatType(column.type)];
          problems.push(`request column "${column.name}" is ${types[0]} for ${before.of} and ${types[1]} for ${of}`);
        } else if (before.column.nullable && !column.nullable) columns.set(column.name, { column, of });
      }
    }
  };
  visit(features);
  return { columns: [...columns.values()].map(({ column }) => column), problems };
}
