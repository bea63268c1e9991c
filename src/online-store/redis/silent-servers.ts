/** Of a call to a cluster that was not answered in time: which servers are silent, and what they were asked. */
import { hashSlot } from "./hash-slot.ts";

/** A command, with its arguments. */
interface Asked {
  readonly name: string;
  readonly args: readonly (string | Buffer | number)[];
}

/** As many are named. */
const NAMED_MAX = 3;

/** Null where all is answered, or nobody knows by whom. `serverOf`: whom a command goes to, by its place. */
export async function silentServers(
  commands: readonly Asked[],
  replies: readonly Promise<unknown>[],
  serverOf: (command: number) => string | undefined,
): Promise<string | null> {
  const pending = Symbol("pending");
  const now = await Promise.all(replies.map((reply) => Promise.race([reply, pending]).catch(() => null)));
  const silent = now.flatMap((value, i) => (value === pending ? [i] : []));
  const servers = [...new Set(silent.flatMap((i) => serverOf(i) ?? []))];
  if (servers.length === 0) return null;
  const more = servers.length > NAMED_MAX ? ` and ${servers.length - NAMED_MAX} more` : "";
  const names = [...new Set(silent.map((i) => commands[i]!.name))];
  return `no reply of ${servers.slice(0, NAMED_MAX).join(", ")}${more} to ${names.join(", ")}`;
}

/** Who has the keys of a command; `slots`: of each slot, who has it, the master first. */
export function ownerOf(
  { args: [first, second] }: Asked,
  slots: readonly (readonly string[] | undefined)[],
): string | undefined {
  // A script's first argument is how many keys it has.
  const key = typeof first === "number" ? second : first;
  return key === undefined ? undefined : slots[slotOf(key)]?.[0];
}

/** By Redis's own rule: of what stands in the key's first braces, else of all of it. */
function slotOf(key: string | Buffer | number): number {
  const text = String(key);
  return hashSlot(/^[^{]*\{([^}]+)\}/.exec(text)?.[1] ?? text);
}
