/**
 * Which services a training set is of, and what is said of each: one value where there is one service, else by its name.
 */
import { OnefoldError } from "../base/errors.ts";

/** One service, or several whose features stand beside each other, in this order. */
export type ServiceChoice = string | readonly string[];

/** A choice that is one for the only service, or one by service. */
export type ByService<T extends number | string> = T | Readonly<Record<string, T>>;

/** Throws `REQUEST_INVALID`. */
export function namesOf(choice: ServiceChoice): readonly string[] {
  const names = typeof choice === "string" ? [choice] : choice;
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (names.length > 0 && twice === undefined) return names;
  throw new OnefoldError(
    "REQUEST_INVALID",
    twice === undefined ? "no service is named" : `service ${twice} is named twice`,
    {
      hint: "name each service once whose features are wanted",
    },
  );
}

/** What is said of each service, or of the only one. `what` names it. Throws `REQUEST_INVALID`. */
export function byService<T extends number | string>(
  services: readonly string[],
  given: ByService<T> | undefined,
  what: string,
): ReadonlyMap<string, T> {
  if (given === undefined) return new Map();
  if (typeof given !== "object") {
    if (services.length === 1) return new Map([[services[0]!, given]]);
    throw new OnefoldError("REQUEST_INVALID", `of several services, a ${what} needs the name of the one it is of`, {
      where: `${what} ${given}`,
      hint: `for example ${services[0]}=${given}`,
    });
  }
  const unknown = Object.keys(given).find((name) => !services.includes(name));
  if (unknown === undefined) return new Map(Object.entries(given));
  throw new OnefoldError("REQUEST_INVALID", `a ${what} is given for ${unknown}, which is none of the services`, {
    where: `services ${services.join(", ")}`,
    candidates: services,
  });
}
