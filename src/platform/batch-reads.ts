/**
 * Reads of whole files at a time: a view's values of all its entities, and the vectors of the entities that a file names.
 */
import type { CallRoute } from "../serve/in-process.ts";
import { type ExportedView, type ExportRequest, exportView } from "../training/export-view.ts";
import type { TrainingPorts } from "../training/ports.ts";
import { type AskVectors, batchVectors, type BatchVectorsReport, type BatchVectorsRequest } from "./batch-vectors.ts";
import { planService } from "../training/service-plan.ts";
import type { RuntimeContext } from "./runtime-context.ts";

export type ExportOptions = Omit<ExportRequest, "ports" | "version"> & Partial<Pick<ExportRequest, "version">>;

export class BatchReads {
  readonly #context: RuntimeContext;
  readonly #ports: TrainingPorts;
  readonly #call: CallRoute;

  constructor(context: RuntimeContext, ports: TrainingPorts, call: CallRoute) {
    this.#context = context;
    this.#ports = ports;
    this.#call = call;
  }

  /**
   * One row an entity, at one moment. Of a view named without a version: the highest. Throws `VIEW_UNKNOWN`,
   * `REQUEST_INVALID`, `CANCELLED`.
   */
  async exportView(options: ExportOptions): Promise<ExportedView> {
    const { definition } = this.#context.catalog.view(options.view, options.version);
    return exportView({ ...options, version: definition.version, ports: this.#ports });
  }

  /**
   * One row a row of the file, from this platform's own states, or from a server whose `POST /services/{name}/vectors` is
   * `ask`. Throws `SERVICE_UNKNOWN`, `FILE_UNREADABLE`, `KEY_MISSING`, and what serving throws.
   */
  async vectors(options: BatchVectorsRequest, ask?: AskVectors): Promise<BatchVectorsReport> {
    const { entities, program } = planService(this.#ports, options.service, options.fit);
    const keys = new Map(entities.flatMap((entity) => entity.keys.map((key) => [key.name, key] as const)));
    const path = `/services/${encodeURIComponent(options.service)}/vectors`;
    const ports = {
      shape: { keys: [...keys.values()], request: program.request, outputs: program.outputs },
      ask: ask ?? ((body: object) => this.#call("POST", path, body)),
      openEngine: () => this.#context.openEngine(),
    };
    return batchVectors(ports, options);
  }
}
