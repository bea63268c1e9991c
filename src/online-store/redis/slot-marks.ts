/**
 * Marks that go with the states of a cluster's slots: a master that is started again without the last of its writes has
 * lost the marks with them.
 *
 *     slots   0 ... 255 | 256 ... 511 | ...      64 groups
 *             ^       ^                          a hash of marks in the first slot of each and in its last
 *
 * A master writes in one order, to its disk too, so what it has of a mark's slot it has of all its slots. Two masters may
 * share a group at the border of what they have; each has one end of it then.
 */
import type { EntityKey } from "../../schema/entity-key.ts";
import type { GroupMark, StateMarks } from "../online-store.ts";
import { hashSlot, tagInSlot } from "./hash-slot.ts";
import { type RedisKeys, tagOf } from "./redis-keys.ts";
import type { RedisArgument, RedisLink } from "./redis-link.ts";

const SLOTS_A_GROUP = 256;
/** So much at once, within the time limit of a round trip. */
const ROUND_BYTES = 2 * 1024 * 1024;

export class SlotMarks implements StateMarks {
  readonly #link: Pick<RedisLink, "send" | "sendUnlessLost" | "connectionsLost">;
  readonly #keys: RedisKeys;

  constructor(link: Pick<RedisLink, "send" | "sendUnlessLost" | "connectionsLost">, keys: RedisKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  groupOf(key: EntityKey): number {
    return Math.floor(hashSlot(tagOf(key)) / SLOTS_A_GROUP);
  }

  async write(marks: readonly GroupMark[]): Promise<void> {
    const fields = new Map<number, RedisArgument[]>();
    for (const { name, bytes, groups } of marks) {
      for (const group of groups) {
        const own = fields.get(group) ?? [];
        fields.set(group, own);
        own.push(name, Buffer.from(bytes));
      }
    }
    const commands = [...fields].flatMap(([group, own]) =>
      this.#places(group).map((key) => ({ name: "hset", args: [key, ...own] })),
    );
    const { connectionsLost } = this.#link;
    for (let from = 0; from < commands.length;) {
      let to = from;
      for (let bytes = 0; to < commands.length && bytes < ROUND_BYTES; to++) {
        for (const arg of commands[to]!.args) bytes += typeof arg === "number" ? 8 : arg.length;
      }
      await this.#link.sendUnlessLost(commands.slice(from, to), connectionsLost);
      from = to;
    }
  }

  async read(
    name: string,
    groups: readonly number[],
  ): Promise<readonly { readonly group: number; readonly bytes: Uint8Array | null }[]> {
    const places = groups.flatMap((group) => this.#places(group).map((key) => ({ group, key })));
    const replies = (await this.#link.send(places.map(({ key }) => ({ name: "hmget", args: [key, name] })))) as [
      Buffer | null,
    ][];
    return places.map(({ group }, i) => {
      const [bytes] = replies[i]!;
      return { group, bytes: bytes === null ? null : new Uint8Array(bytes) };
    });
  }

  #places(group: number): [string, string] {
    const first = group * SLOTS_A_GROUP;
    return [this.#keys.marks(tagInSlot(first)), this.#keys.marks(tagInSlot(first + SLOTS_A_GROUP - 1))];
  }
}
