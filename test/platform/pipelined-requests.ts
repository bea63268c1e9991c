/**
 * Bytes as clients send them to the RESP door and to the HTTP door: questions that come again and again, pushes between
 * them, changes of the protocol, keys of odd characters, and what is refused.
 */
import { formatMicros, type Micros } from "../../src/base/micros.ts";
import type { SeededRandom } from "../../src/testing/random.ts";

export const PASSWORD = "sesame";
const SECOND = 1_000_000;

/** Byte strings. */
const utf8 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
export const command = (...args: readonly string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;

const KEYS = ["u", "{u}", "u\u0000", "é✈", "$2\r\nu1\r\n", "*1\r\n", "", "x".repeat(900), '"', "u|1", "\u0100", "Ā "];
const PLACES = ["s", "s\u0000{}", "ü"];

/** Of a space of keys that one connection alone tells of, so that connections side by side do not change each other's. */
export class Speaker {
  readonly #random: SeededRandom;
  readonly #name: string;

  readonly #now: number;

  constructor(random: SeededRandom, name: string, now: number) {
    this.#random = random;
    this.#name = name;
    this.#now = now;
  }

  key(): string {
    const random = this.#random;
    return `${this.#name}${random.oneIn(5) ? random.pick(KEYS) : "a"}`;
  }

  place(): string {
    return `${this.#name}${this.#random.oneIn(5) ? this.#random.pick(PLACES) : "s"}`;
  }

  event(): Record<string, unknown> {
    const random = this.#random;
    const late = random.oneIn(3) ? random.integer(0, 90 * SECOND) : 0;
    return {
      user_id: this.key(),
      shop_id: this.place(),
      paid_at: formatMicros((this.#now - late) as Micros),
      amount: random.integer(1, 10_000) / 97,
      word: random.pick(["", "a", "ü", "\u0000\r\n"]),
    };
  }

  events(): string {
    const some = Array.from({ length: this.#random.integer(1, 3) }, () => this.event());
    return JSON.stringify(some.length === 1 ? some[0] : some);
  }

  question(): { readonly name: string; readonly keys: readonly string[]; readonly entities: Record<string, string> } {
    const name = this.#random.pick(["both", "both", "with_time", "plain", "scaled"]);
    const entities: Record<string, string> =
      name === "both" ? { user_id: this.key(), shop_id: this.place() } : { user_id: this.key() };
    return { name, entities, keys: Object.values(entities).map(utf8) };
  }

  resp(isGuarded: boolean): string {
    const random = this.#random;
    const { name, keys, entities } = this.question();
    const get = random.pick(["FGET", "fget", "FGetJson", "FGETJSON", "FGETPACKED"]);
    switch (random.integer(0, 24)) {
      case 0:
        return command("HELLO", random.pick(["2", "3"]));
      case 1:
        return command("HELLO", "3", "AUTH", "default", PASSWORD);
      case 2:
        return isGuarded && random.oneIn(2) ? command("AUTH", random.oneIn(5) ? "wrong" : PASSWORD) : command("PING");
      case 3:
        return random.oneIn(3) ? command("RESET") + (isGuarded ? command("AUTH", PASSWORD) : "") : command("ECHO", "x");
      case 4:
        return command("FPUSH", "payments", utf8(this.events()));
      case 5:
      case 6:
        return command("FPUSH", "payments", utf8(this.events())) + command(get, name, ...keys);
      case 7:
        return command("FEVENTS", "payments", utf8(JSON.stringify(this.event())));
      case 8:
        return command("FGETJSON", name, ...keys, "WITHMETA");
      case 9:
        return command("FVECTORS", name, utf8(JSON.stringify({ entities })));
      case 10:
      case 11: {
        const many = Array.from({ length: random.integer(1, 4) }, () => keys);
        if (random.oneIn(4)) many.push(["\xff", "s"].slice(0, keys.length));
        return command("FMGET", name, String(many.length), ...many.flat());
      }
      case 12:
        return command("FMGET", "plain", "130", ...Array.from({ length: 130 }, () => utf8(this.key())));
      case 13:
        return command(get, "computed", keys[0]!, "CONTEXT", `{"amount":${random.integer(1, 2)}}`);
      case 14:
        return random.pick([
          command(get, "nothing", "u"),
          command(get, name, "\xff"),
          command(get),
          command("nonsense", "x"),
          command(get, name, ...keys, "CONTEXT", "{}"),
          command(get, name, ...keys, "CONTEXT", '{"x":1}'),
          "*0\r\n",
          "\r\n",
          `fget ${name} a b\r\n`,
        ]);
      case 15:
        return command(get, name, ...keys, ...keys);
      default:
        return command(get, name, ...keys).repeat(random.integer(1, 3));
    }
  }

  http(): string {
    const random = this.#random;
    const { name, entities } = this.question();
    const post = (path: string, body: unknown): string => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${utf8(text)}`;
    };
    switch (random.integer(0, 12)) {
      case 0:
        return post(`/services/${name}/vectors`, {
          entities: Array.from({ length: random.integer(0, 5) }, () => entities),
        });
      case 1:
        return post(`/services/${name}/vector`, { entities, metadata: "full" });
      case 2:
        return post("/services/scaled/vector", { entities: { user_id: this.key() }, fit: random.integer(1, 3) });
      case 3:
        return post("/features", { entity_type: "user", entity_id: this.key() });
      case 4:
        return post("/features", {
          entity_type: "user",
          entity_id: this.key(),
          feature_names: random.pick([["latest", "n_10s"], ["draft@dev:d"]]),
        });
      case 5:
        return post("/features/batch", {
          entity_type: "user",
          entity_ids: [this.key(), this.key()],
          ...(random.oneIn(2) ? {} : { feature_names: ["draft@dev:d"] }),
        });
      case 6:
        return post("/services/computed/vector", { entities: { user_id: this.key() }, request: { amount: 2 } });
      case 7:
        return post(`/services/${name}/vector`, { entities: { ...entities, more: "\u0000é" } });
      case 8:
        return random.pick([
          post(`/services/${name}/vector`, { entities: {} }),
          post("/services/nothing/vector", { entities }),
          post(`/services/${name}/vector`, { entities, request: { x: 1 } }),
        ]);
      default:
        return post(`/services/${name}/vector`, { entities }).repeat(random.integer(1, 3));
    }
  }
}

/** Parts to be sent one by one, and how long to wait behind each; -1 waits not at all. */
export function cut(random: SeededRandom, bytes: string): { parts: string[]; pausesMillis: number[] } {
  const parts: string[] = [];
  const small = random.oneIn(3);
  for (let at = 0; at < bytes.length;) {
    const length = random.oneIn(3) ? bytes.length : random.integer(1, small ? 40 : 3000);
    parts.push(bytes.slice(at, at + length));
    at += length;
  }
  return { parts, pausesMillis: parts.map(() => (random.oneIn(3) ? random.integer(0, 1) : -1)) };
}
