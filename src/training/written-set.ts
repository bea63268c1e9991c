/**
 * A training set that is in its file alone: too large to be held, or made in parts.
 */
import { OnefoldError } from "../base/errors.ts";
import type { FeatureColumn } from "./feature-columns.ts";
import type { TrainingManifest } from "./manifest.ts";

export class WrittenSet {
  readonly rowCount: number;
  readonly manifest: TrainingManifest;
  readonly out: string;
  readonly trainRows: Int32Array | null;

  constructor({ rowCount, manifest, out, trainRows }: Omit<WrittenSet, "columns">) {
    this.rowCount = rowCount;
    this.manifest = manifest;
    this.out = out;
    this.trainRows = trainRows;
  }

  get columns(): readonly FeatureColumn[] {
    throw new OnefoldError("REQUEST_INVALID", "the columns of a training set that was not held in memory", {
      where: this.out,
      hint: "read them from the file",
    });
  }
}
