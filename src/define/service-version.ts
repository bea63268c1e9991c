/**
 * Versions of a service, and the two ways in which one is named:
 *
 *     id          what something is stored, logged and counted under: `delay` of version 1, `delay@2` of others
 *     reference   what is looked up: `delay@1`, `delay@2`; with an alias `delay@prod`, or without anything `delay`
 *
 * Services had no versions once. All that was stored then is of version 1, and what is stored of version 1 now looks as it did.
 * So an id is never looked up as it is: `delay` means what an alias says there.
 */
import type { ServiceDefinition } from "./definition.ts";

type VersionedService = Pick<ServiceDefinition, "name" | "version">;

export function versionOfService({ version = 1 }: Pick<ServiceDefinition, "version">): number {
  return version;
}

/** `delay` of version 1, `delay@2` of others. */
export function serviceId(service: VersionedService): string {
  const version = versionOfService(service);
  return version === 1 ? service.name : `${service.name}@${version}`;
}

/** `delay@1`, which no alias changes. */
export function serviceReference(service: VersionedService): string {
  return `${service.name}@${versionOfService(service)}`;
}

/** The reference of the very version that an id stands for. */
export function referenceOfId(id: string): string {
  return id.includes("@") || id === "" ? id : `${id}@1`;
}

/** Of an id or a reference. */
export function bareNameOf(text: string): string {
  const at = text.indexOf("@");
  return at < 0 ? text : text.slice(0, at);
}

/** Problems of a service's version: 1, 2, ... */
export function serviceVersionProblems(version: unknown): string[] {
  if (version === undefined || (Number.isSafeInteger(version) && (version as number) >= 1)) return [];
  return [`version ${JSON.stringify(version)} is not a whole number from 1: a service has no draft`];
}
