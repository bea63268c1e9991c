/**
 * The vectors that a fit's transformations were fitted to, joined again from its label rows and transformed by it.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { OnefoldError } from "../../base/errors.ts";
import { referenceOfId } from "../../define/service-version.ts";
import type { FeatureColumn } from "../../training/feature-columns.ts";
import type { TrainingManifest } from "../../training/manifest.ts";
import type { TrainingPorts } from "../../training/ports.ts";
import { train } from "../../training/training-set.ts";

/** Of a fit of any age: the first manifests were of one service, and named its token column beside the others. */
type FitManifest = Pick<TrainingManifest, "knowledge" | "boundary"> & {
  readonly services?: TrainingManifest["services"];
  readonly spine: TrainingManifest["spine"] & { readonly tokenColumn?: string | null };
};

/** One a feature, a slot a label row. `id`: of the service. Throws `FIT_UNKNOWN`, `VALUES_MISSING` where the label rows are not there any more. */
export async function fittedColumns(
  ports: TrainingPorts,
  id: string,
  version: number,
): Promise<readonly FeatureColumn[]> {
  const service = referenceOfId(id);
  const fit = ports.fits.fitFor(id, ports.registry.service(service).fingerprint, version);
  const { spine, knowledge, boundary, services } = fit.training as unknown as FitManifest;
  const tokenColumn = services?.find(({ name }) => name === id)?.tokenColumn ?? spine.tokenColumn ?? null;
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
