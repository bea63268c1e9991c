/** Which commands go together in one round trip. */
import type { RedisCommand } from "./redis-link.ts";
import { WRITE_NEWER_COMMAND } from "./write-newer.ts";

/** Behind the last command of a round: at least one, and no more than have so many keys and bytes. */
export function endOfRound(commands: readonly RedisCommand[], from: number, keysMax: number, bytesMax: number): number {
  let [to, keys, bytes] = [from, 0, 0];
  while (to < commands.length) {
    const { name, args } = commands[to]!;
    keys += name === WRITE_NEWER_COMMAND ? (args[0] as number) : args.length;
    for (const arg of args) bytes += typeof arg === "number" ? 8 : arg.length;
    if (to > from && (keys > keysMax || bytes > bytesMax)) break;
    to++;
  }
  return to;
}
