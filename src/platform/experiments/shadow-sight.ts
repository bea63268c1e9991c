/**
 * What serving shows of shadows, as news: to the counts of the process that owns the data folder, or, of a worker, sent to it
 * once a second. A worker keeps so many back at most; what is beyond is counted as dropped.
 */
import type { ShadowNews } from "../../monitor/shadow/shadow-news.ts";
import type { ShadowVector } from "../../monitor/shadow/shadow-tally.ts";
import type { ShadowNames, ShadowRead, ShadowSight } from "../../serve/shadow-sight.ts";

const EVERY_MILLIS = 1000;
const KEPT_MAX = 1000;

export function shadowSight(took: (news: ShadowNews) => void, random: () => number = Math.random): ShadowSight {
  return {
    takes: (share) => random() < share,
    compared: (task, served, shadow) => {
      const asOfMicros = shadow.vector.asOf;
      // Nothing here says whose values they are: what is kept of them need not be forgotten with anyone.
      took({ ...ofTask(task), pair: { served: vectorOf(served), shadow: vectorOf(shadow), entity: {}, asOfMicros } });
    },
    failed: (task, code) => took({ ...ofTask(task), failed: code }),
    dropped: (task) => took({ ...ofTask(task), dropped: 1 }),
  };
}

/** Gathers news for another process. */
export class ShadowRelay {
  readonly #send: (news: readonly ShadowNews[]) => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;
  #waiting: ShadowNews[] = [];

  constructor(send: (news: readonly ShadowNews[]) => Promise<unknown>) {
    this.#send = send;
    this.#timer = setInterval(() => void this.flush(), EVERY_MILLIS).unref();
  }

  took(news: ShadowNews): void {
    if (this.#waiting.length < KEPT_MAX) this.#waiting.push(news);
    else {
      const { experiment, served, shadow } = news;
      const last = this.#waiting.at(-1)!;
      const isSame = "dropped" in last && last.experiment === experiment && last.served === served;
      if (isSame) this.#waiting[this.#waiting.length - 1] = { ...last, dropped: last.dropped + 1 };
      else this.#waiting.push({ experiment, served, shadow, dropped: 1 });
    }
  }

  /** Never rejects: what cannot be told is a sample, and the next one will do. */
  async flush(): Promise<void> {
    const news = this.#waiting;
    this.#waiting = [];
    if (news.length > 0) await this.#send(news).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}

function ofTask({ experiment, served, shadow }: ShadowNames): ShadowNames {
  return { experiment, served, shadow };
}

/** A value's cost is its part of what its views took to read. */
function vectorOf({ plan, vector, micros, viewMicros }: ShadowRead): ShadowVector {
  const perView = viewMicros.map((_, view) => plan.features.filter((feature) => feature.view === view).length);
  const costOf = (input: number): number => {
    const { view } = plan.features[input]!;
    return viewMicros[view]! / perView[view]!;
  };
  return {
    micros,
    values: plan.outputs.map(({ name, type, inputs }, i) => ({
      name,
      type,
      value: vector.values[i]!,
      micros: inputs.reduce((sum, input) => sum + costOf(input), 0),
    })),
  };
}
