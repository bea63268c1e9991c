/**
 * What models have reported of their features, one file a service:
 *
 *     monitor/importance/<service>.json
 *
 * Replaced whole. The newest report of each version and model is kept, and of these the newest so many.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TurnQueue } from "../../base/turn-queue.ts";
import { replaceFile } from "../../registry/atomic-file.ts";

export interface StoredImportances {
  readonly version: number | null;
  readonly model: string;
  readonly method: string;
  readonly importances: Readonly<Record<string, number>>;
  /** RFC 3339. */
  readonly reported_at: string;
}

const FORMAT = 1;
const REPORTS_MAX = 100;

export class ImportanceStore {
  readonly #dataDir: string;
  readonly #turns = new TurnQueue();

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** Durable once it resolves. Throws `STORAGE_FAILED`, `DISK_FULL`. */
  add(service: string, report: StoredImportances): Promise<void> {
    return this.#turns.take(async () => {
      const others = (await this.of(service)).filter(
        ({ version, model }) => version !== report.version || model !== report.model,
      );
      const reports = [report, ...others].slice(0, REPORTS_MAX);
      await replaceFile(this.#path(service), `${JSON.stringify({ format: FORMAT, reports }, null, 1)}\n`);
    });
  }

  /** The newest first; nothing where none can be read. */
  async of(service: string): Promise<readonly StoredImportances[]> {
    try {
      const stored = JSON.parse(await readFile(this.#path(service), "utf8")) as {
        readonly format: unknown;
        readonly reports: readonly StoredImportances[];
      };
      return stored.format === FORMAT && Array.isArray(stored.reports) ? stored.reports : [];
    } catch {
      return [];
    }
  }

  #path(service: string): string {
    return join(this.#dataDir, "monitor", "importance", `${service}.json`);
  }
}
