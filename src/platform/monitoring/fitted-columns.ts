/**
 * The vectors that a fit's transformations were fitted to, those of its train split, joined again from its label rows and
 * transformed by it.
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

export interface FittedRows {
  /** One a feature, a slot a label row. */
  readonly columns: readonly FeatureColumn[];
  /** The label rows that were fitted to, ascending. */
  readonly rows: Int32Array;
}

/**
 * `id`: of the service. Throws `FIT_UNKNOWN`, `VALUES_MISSING` where the label rows are not there any more, or it is not known
 * which of them were fitted to.
 */
export async function fittedRows(ports: TrainingPorts, id: string, version: number): Promise<FittedRows> {
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
  const { rowsTrain, rowsTotal } = fit.split;
  const split = fit.trainSplit ?? (rowsTrain === rowsTotal ? { share: 1 } : null);
  if (split === null) throw unknownRows(version, rowsTrain, rowsTotal);
  const { columns, trainRows } = await train({
    ports,
    service,
    fit: version,
    split,
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
  if (trainRows!.length !== rowsTrain) throw unknownRows(version, rowsTrain, rowsTotal);
  return { columns, rows: trainRows! };
}

function unknownRows(version: number, rowsTrain: number, rowsTotal: number): OnefoldError {
  return new OnefoldError(
    "VALUES_MISSING",
    `it is not known which ${rowsTrain} of ${rowsTotal} label rows fit ${version} was fitted to`,
    {
      where: `fit ${version}`,
      hint: "fit again, which keeps that, or compare with a training set of these rows: file:PATH",
    },
  );
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
