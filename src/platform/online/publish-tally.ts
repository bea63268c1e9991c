/**
 * How publishing goes, for whoever monitors it: what was copied, what failed, and how far the copy is behind.
 */
import type { ErrorCode } from "../../base/errors.ts";
import { readStoredView, type StoredView, viewMetaName } from "../../ingest/stored-view.ts";
import type { PublishGauges } from "../../monitor/metrics/remote-store-metrics.ts";
import type { LocalOnlineStore, MetaWrite } from "../../online-store/online-store.ts";

const VIEW_PREFIX = viewMetaName("");

export class PublishTally {
  states = 0;
  readonly failures: Map<ErrorCode, number> = new Map();
  isFailing = false;
  /** Position that the target's place of a view names. */
  readonly #placed = new Map<string, number>();
  #wholeMs = performance.now();

  failed(code: ErrorCode): void {
    this.isFailing = true;
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  /** Metas that the target has now. */
  placed(metas: readonly MetaWrite[]): void {
    for (const { name, bytes } of metas) {
      if (!name.startsWith(VIEW_PREFIX)) continue;
      const view = name.slice(VIEW_PREFIX.length);
      if (bytes === null) this.#placed.delete(view);
      else this.#placed.set(view, (JSON.parse(Buffer.from(bytes).toString("utf8")) as StoredView).position);
    }
  }

  /** The target had, at that moment, all that there was. */
  whole(atMs: number): void {
    this.#wholeMs = atMs;
  }

  gauges(local: LocalOnlineStore, isCaughtUp: boolean, queuedBytes: number, connectionsLost: number): PublishGauges {
    const views = Array.from(local.scanMeta(VIEW_PREFIX), ({ name }) => {
      const view = name.slice(VIEW_PREFIX.length);
      const lagEvents = (readStoredView(local, view)?.position ?? 0) - (this.#placed.get(view) ?? 0);
      return { view, lagEvents: Math.max(0, lagEvents) };
    });
    return {
      up: !this.isFailing,
      lagSeconds: isCaughtUp ? 0 : (performance.now() - this.#wholeMs) / 1000,
      views,
      states: this.states,
      failures: this.failures,
      queuedBytes,
      connectionsLost,
    };
  }
}
