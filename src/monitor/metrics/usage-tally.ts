/**
 * Who reads what: vectors counted by plan and by consumer, one addition each, and told by feature, version and consumer only
 * when someone asks.
 *
 * Consumers name themselves, so their names are bounded: in length and in number, past which they are "other".
 */

/** What is read together; one object for as long as it is read by. */
export interface UsedPlan {
  /** Empty where features were asked for by name. */
  readonly service: string;
  /** `view@version:feature` of each. */
  readonly qualifiedNames: readonly string[];
}

export interface FeatureReads {
  /** `view@version`. */
  readonly view: string;
  readonly feature: string;
  /** Empty where whoever asked has no name. */
  readonly consumer: string;
  readonly reads: number;
}

export interface ServiceReads {
  readonly service: string;
  readonly consumer: string;
  readonly vectors: number;
}

interface Count {
  vectors: number;
}

const CONSUMERS_MAX = 100;
const NAME_LENGTH_MAX = 64;
const OTHER = "other";
/** Plans come and go with what is registered and with the lists that callers choose; at so many they are summed up. */
const PLANS_MAX = 2000;
/** Between the parts of a sum's name: none of them has one. */
const SEPARATOR = "\n";

export class UsageTally {
  readonly #plans = new Map<UsedPlan, Map<string, Count>>();
  readonly #consumers = new Map<string, string>();
  readonly #names = new Set<string>([OTHER]);
  readonly #features = new Map<string, number>();
  readonly #services = new Map<string, number>();
  /** The last one counted: most callers ask for the same again. */
  #plan: UsedPlan | null = null;
  #consumer = "";
  #count: Count = { vectors: 0 };

  add(plan: UsedPlan, consumer: string): void {
    if (plan !== this.#plan || consumer !== this.#consumer) {
      this.#count = this.#countOf(plan, consumer);
      this.#plan = plan;
      this.#consumer = consumer;
    }
    this.#count.vectors++;
  }

  /** Since the process began. */
  features(): FeatureReads[] {
    this.#sumUp();
    return Array.from(this.#features, ([name, reads]) => {
      const [view, feature, consumer] = name.split(SEPARATOR) as [string, string, string];
      return { view, feature, consumer, reads };
    });
  }

  /** The same by service. */
  services(): ServiceReads[] {
    this.#sumUp();
    return Array.from(this.#services, ([name, vectors]) => {
      const [service, consumer] = name.split(SEPARATOR) as [string, string];
      return { service, consumer, vectors };
    });
  }

  #countOf(plan: UsedPlan, consumer: string): Count {
    let consumers = this.#plans.get(plan);
    if (consumers === undefined) {
      if (this.#plans.size >= PLANS_MAX) this.#sumUp();
      this.#plans.set(plan, (consumers = new Map()));
    }
    const name = this.#nameOf(consumer);
    let count = consumers.get(name);
    if (count === undefined) consumers.set(name, (count = { vectors: 0 }));
    return count;
  }

  #nameOf(consumer: string): string {
    const known = this.#consumers.get(consumer);
    if (known !== undefined) return known;
    const name = consumer.slice(0, NAME_LENGTH_MAX);
    if (!this.#names.has(name) && this.#names.size > CONSUMERS_MAX) return OTHER;
    this.#names.add(name);
    // Of long ones that begin alike nothing is remembered but that.
    if (name === consumer) this.#consumers.set(consumer, name);
    return name;
  }

  /** Into the sums, whose number is bounded by what is registered. */
  #sumUp(): void {
    for (const [{ service, qualifiedNames }, consumers] of this.#plans) {
      for (const [consumer, { vectors }] of consumers) {
        if (vectors === 0) continue;
        add(this.#services, service + SEPARATOR + consumer, vectors);
        for (const qualified of qualifiedNames) {
          const colon = qualified.indexOf(":");
          const parts = [qualified.slice(0, colon), qualified.slice(colon + 1), consumer];
          add(this.#features, parts.join(SEPARATOR), vectors);
        }
      }
    }
    this.#plans.clear();
    this.#plan = null;
  }
}

function add(sums: Map<string, number>, name: string, count: number): void {
  sums.set(name, (sums.get(name) ?? 0) + count);
}
