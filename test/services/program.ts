/**
 * A component's program with its arguments: as it is installed, or out of its image, where it has the host's network
 * and its folder under the same path, so that ports and files are the same either way.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ComponentName, COMPONENTS, type Located, locate } from "./locate.ts";
import type { ServerCommand } from "./server-process.ts";
import { startAnew } from "./start-anew.ts";

/** A component that we can start. */
export type Startable = Exclude<Located, { readonly from: "address" } | { readonly from: "nowhere" }>;

/** Throws where it cannot be started here, and says what would bring it. */
export async function startable(name: ComponentName): Promise<Startable> {
  const located = await locate(name, { ours: true });
  if (located.from === "nowhere") throw new Error(located.bring);
  if (located.from === "address") throw new Error(`${COMPONENTS[name].title} at an address cannot be started`);
  return located;
}

/** What `work` starts removes the folder when it is closed; where it starts nothing, it is gone at once. */
export async function inNewFolder<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `onefold-${name}-`));
  try {
    return await work(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** What `start` starts chooses its ports itself: where it does not come up, it is started anew in another folder. */
export function startInNewFolder<T>(name: string, start: (folder: string) => Promise<T>): Promise<T> {
  return startAnew(() => inNewFolder(name, start));
}

export interface Invocation {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** In its image; ours where it is not given. */
  readonly containerUser?: string;
}

export function invoke(
  located: Startable,
  invocation: Invocation,
): Pick<ServerCommand, "program" | "args" | "container"> {
  const { program, args, folder } = invocation;
  if (located.from === "installed") return { program, args };
  const container = `onefold-${randomUUID()}`;
  const user = invocation.containerUser ?? `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const place = ["--network", "host", "-v", `${folder}:${folder}`, "-w", folder, "--user", user];
  return {
    program: "docker",
    args: ["run", "--rm", "--name", container, ...place, "--entrypoint", program, located.image, ...args],
    container,
  };
}
