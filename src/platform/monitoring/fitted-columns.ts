/**
 * The vectors that a fit's transformations were fitted to, joined again from its label rows and transformed by it.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { OnefoldError } from "../../base/errors.ts";
import type { FeatureColumn } from "../../training/feature-columns.ts";
import type { TrainingManifest } from "../../training/manifest.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import { train } from "../../training/training-set.ts";

/** One a feature, a slot a label row. Throws `FIT_UNKNOWN`, `VALUES_MISSING` where the label rows are not there any more. */
export async function fittedColumns(
  ports: TrainingPorts,
  service: string,
  version: number,
): Promise<readonly FeatureColumn[]> {
  const fit = ports.fits.fitFor(service, ports.registry.service(service).fingerprint, version);
  const training = fit.training as unknown as TrainingManifest;
  const { spine, knowledge, boundary } = training;
  const tokenColumn = tokenColumnOf(training);
  if (spine.generated !== null || (await hashOf(spine.path)) !== spine.sha256) {
    throw new OnefoldError("VALUES_MISSING", `the label rows of fit ${version} are not there as they were`, {
      where: spine.path,
      hint: "compare with a training set instead: file:PATH",
    });
  }
  const { columns } = await train({
    ports,
    service,
    fit: version,
    labels: {
      path: spine.path,
      ...(spine.timeColumn === null ? {} : { timeColumn: spine.timeColumn }),
      ...(tokenColumn === null ? {} : { tokenColumn }),
      keyColumns: spine.keyColumns,
    },
    knowledge,
    ...(boundary === null ? {} : { boundary }),
    allowAfterLog: true,
  });
  return columns;
}

/** Fits made before sets of several services have it with their label rows. */
function tokenColumnOf(training: TrainingManifest): string | null {
  const { tokenColumn } = training.spine as { readonly tokenColumn?: string | null };
  return (training.manifest === 2 ? training.services[0]?.tokenColumn : tokenColumn) ?? null;
}

/** Null of what cannot be read. */
async function hashOf(path: string): Promise<string | null> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return hash.digest("hex");
  } catch {
    return null;
  }
}
