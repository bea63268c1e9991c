/**
 * What definitions say that workers do otherwise than an embedded platform, for `apply` and the worker to tell.
 */
import { type Definition, formatViewName } from "../../define/definition.ts";

/** A sentence each. `drafts`: whether the worker folds them. */
export function workerNotes(definitions: readonly Definition[], drafts: boolean): string[] {
  const notes: string[] = [];
  for (const source of definitions) {
    if (source.kind !== "stream" || source.kafka === undefined) continue;
    const { topic, direct } = source.kafka;
    if (direct === true && source.id !== undefined) {
      notes.push(
        `source ${source.name}: topic ${topic} is folded directly, so an id counts once for each entity, not once in ` +
          'the source; take "direct" away if events with one id may have different keys',
      );
    }
    for (const view of definitions) {
      if (drafts || view.kind !== "view" || view.source !== source.name || view.version !== "dev") continue;
      const name = formatViewName(view);
      notes.push(
        `view ${name}: workers fold drafts only where they are started with --drafts; see its values with ` +
          `onefold preview ${name} --archive FOLDER, or give it a number`,
      );
    }
  }
  return notes;
}
