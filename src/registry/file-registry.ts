/** The registry on one file, for one server: the default. */
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { RegistryFile } from "./registry-file.ts";
import { openRegistryOn, type SharedRegistry } from "./stored-registry.ts";

/** Opens `registry.json` in `folder`, which need not exist. Throws `REGISTRY_CORRUPT`. */
export function openFileRegistry(folder: string, options: { readonly clock: Clock }): Promise<SharedRegistry> {
  return openRegistryOn(new RegistryFile(join(folder, "registry.json")), options);
}
