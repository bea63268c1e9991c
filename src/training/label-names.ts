/** When and of whom some label rows are: what a person needs to find them in the label file. */
import type { EntityDefinition } from "../define/definition.ts";
import type { TrainingPorts } from "./ports.ts";
import { readSpine, type SpineRequest } from "./spine.ts";

export interface LabelName {
  /** Microseconds. */
  readonly time: number;
  /** Canonical key by entity. */
  readonly keys: Readonly<Record<string, string>>;
}

/** By row, counted from 0. Reads the labels once more; throws what `readSpine` throws. */
export async function readLabelNames(
  ports: TrainingPorts,
  labels: SpineRequest,
  entities: readonly EntityDefinition[],
  rows: readonly number[],
): Promise<ReadonlyMap<number, LabelName>> {
  if (rows.length === 0) return new Map();
  const engine = await ports.openEngine();
  try {
    await readSpine(engine, labels, entities, "time");
    const found = await engine.rows(`SELECT * FROM spine_label WHERE row IN (${rows.join(", ")})`);
    return new Map(
      found.map((one) => [
        Number(one["row"]),
        {
          time: Number(one["t"]),
          keys: Object.fromEntries(entities.map(({ name }, index) => [name, String(one[`key_${index}`])])),
        },
      ]),
    );
  } finally {
    await engine.close();
  }
}
