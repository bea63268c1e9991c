/** Exposures of a data folder's serving log as label rows, and what `train` is told of them. */
import { join } from "node:path";
import type { Registry } from "../../registry/registry.ts";
import { registryOfAnyTime } from "../../registry/registry-of-any-time.ts";
import { readServingLog } from "../../schema/served-vector.ts";
import { writeExposureLabels } from "../../training/exposure-labels.ts";

export interface ExposuresAsked {
  readonly experiment: string;
  /** `service@version`. */
  readonly variant: string;
  /** Where the label rows go, .ndjson. */
  readonly path: string;
}

/** What a training set as served of these exposures is asked for with. Throws as `writeExposureLabels`. */
export async function exposureLabels(
  { dataDir, registry }: { readonly dataDir: string; readonly registry: Registry },
  asked: ExposuresAsked,
): Promise<{
  readonly service: readonly string[];
  readonly labels: string;
  readonly knowledge: "as-served";
  readonly tokenColumn: string;
  readonly keyColumns: Readonly<Record<string, readonly string[]>>;
}> {
  const vectors = readServingLog(join(dataDir, "serving-log"));
  const { tokenColumn, keyColumns } = await writeExposureLabels({
    ...asked,
    registry: registryOfAnyTime(registry),
    vectors,
  });
  return { service: [asked.variant], labels: asked.path, knowledge: "as-served", tokenColumn, keyColumns };
}
