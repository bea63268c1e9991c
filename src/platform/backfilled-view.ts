/**
 * What a backfill of a view will take, registered or only written yet. It is told beside whatever the owner of the folder
 * does to the table meanwhile.
 */
import { compileViewFold } from "../fold/compile.ts";
import { type BackfillCost, estimateBackfill } from "../ingest/backfill-cost.ts";
import { readNewest } from "../offline-store/newer-files.ts";
import type { TrainingPorts } from "../training/ports.ts";
import type { PreviewedView } from "./previewed-view.ts";

export async function costOfBackfill(
  { view: definition, source, entity }: PreviewedView,
  ports: Pick<TrainingPorts, "archive" | "openEngine">,
): Promise<BackfillCost> {
  const view = { definition, fold: compileViewFold(definition, source, entity) };
  const archive = await ports.archive(source.name);
  const engine = await ports.openEngine();
  try {
    return await readNewest(archive, (files) => estimateBackfill({ source, view, files, engine }));
  } finally {
    await engine.close();
  }
}
