/** Experiments in the definitions file: what they become, and what is refused with its line. */
import { describe, expect, it } from "vitest";
import { isOnefoldError } from "../../src/base/errors.ts";
import {
  count,
  type Definition,
  entity,
  experiment,
  type ExperimentOptions,
  service,
  stream,
  t,
  view,
} from "../../src/index.ts";
import { withReferences } from "../../src/define/references.ts";
import { fromData, toData } from "../../src/registry/definition-data.ts";
import { keyOf } from "../../src/registry/definition-set.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { planChanges } from "../../src/registry/plan.ts";

const user = entity("user", { user: t.string() });
const route = entity("route", { route: t.string() });
const rides = stream("rides", { columns: { user: t.string(), route: t.string(), at: t.timestamp() }, eventTime: "at" });
const userRides = view("user_rides", { entity: user, source: rides, features: { rides_1h: count().over("1h") } });
const routeRides = view("route_rides", {
  entity: route,
  source: rides,
  features: { route_rides_1h: count().over("1h") },
});
const one = service("eta", { features: [userRides] });
const other = service("eta_more", { features: [userRides, routeRides] });

const OPTIONS: ExperimentOptions = { service: [one, other], weights: [90, 10], unit: user };

function refusalOf(make: () => unknown): { message: string; where: string | undefined } {
  try {
    make();
  } catch (error) {
    if (isOnefoldError(error) && error.code === "DEFINITION_INVALID")
      return { message: error.message, where: error.where };
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("experiment", () => {
  it("is data with its defaults filled in", () => {
    const { definedAt, ...data } = experiment("eta_v2", OPTIONS);
    expect(definedAt?.file).toMatch(/experiments\.test\.ts$/);
    expect(data).toEqual({
      kind: "experiment",
      name: "eta_v2",
      variants: [
        { service: "eta", version: 1 },
        { service: "eta_more", version: 1 },
      ],
      weights: [90, 10],
      unit: { from: "entity", name: "user" },
      salt: "eta_v2",
    });
  });

  it("names versions by text, a unit of the request, overrides and a shadow", () => {
    const made = experiment("eta_v2", {
      service: ["eta@1", "eta_more@1"],
      weights: [1, 0],
      unit: { request: "session" },
      salt: "winter",
      overrides: { s1: "eta_more@1", s2: "eta@1" },
      exposures: 0.5,
      shadow: { service: "eta_more@1", share: 0.25 },
    });
    expect(made).toMatchObject({
      variants: [
        { service: "eta", version: 1 },
        { service: "eta_more", version: 1 },
      ],
      unit: { from: "request", name: "session" },
      salt: "winter",
      overrides: [
        { unit: "s1", variant: 1 },
        { unit: "s2", variant: 0 },
      ],
      exposures: 0.5,
      shadow: { service: "eta_more", version: 1, share: 0.25 },
    });
    expect(experiment("eta_v2", { ...OPTIONS, service: [one], weights: [1], shadow: other }).shadow).toEqual({
      service: "eta_more",
      version: 1,
      share: 0.1,
    });
  });

  it("is frozen, and comes back from data as it was", () => {
    const made = experiment("eta_v2", OPTIONS);
    expect(Object.isFrozen(made.variants)).toBe(true);
    expect(fromData(toData(made))).toEqual(made);
    expect(fingerprint(fromData(toData(made)))).toBe(fingerprint(made));
  });

  it("brings the services, views and entities that it was made of", () => {
    const keys = withReferences([experiment("eta_v2", OPTIONS)]).map(keyOf);
    expect(keys).toEqual(
      expect.arrayContaining(["service:eta", "service:eta_more", "entity:user", "experiment:eta_v2"]),
    );
  });

  it.each<[string, Partial<ExperimentOptions>, RegExp]>([
    ["one version alone", { service: [one], weights: [1] }, /fewer than two versions/],
    ["a bare name", { service: ["eta", "eta_more@1"] }, /"eta" is no version of a service: write it as "delay@2"/],
    ["an alias", { service: ["eta@prod", "eta_more@1"] }, /"eta@prod" is no version/],
    ["a version twice", { service: [one, "eta@1"] }, /eta@1 is in it twice/],
    ["too few weights", { weights: [1] }, /1 weights for 2 versions/],
    ["no weight above 0", { weights: [0, 0] }, /all its weights are 0/],
    ["a broken weight", { weights: [0.5, 0.5] }, /0\.5, 0\.5 is no whole number/],
    ["a weight below 0", { weights: [1, -1] }, /-1 is no whole number/],
    ["no unit", { unit: undefined as never }, /unit is missing/],
    ["a salt of two lines", { salt: "a\nb" }, /salt is no text/],
    ["an empty salt", { salt: "" }, /salt is no text/],
    [
      "an override to what it does not serve",
      { overrides: { u1: "eta@7" } },
      /"u1" is given none of eta@1, eta_more@1/,
    ],
    ["exposures beyond all", { exposures: 1.5 }, /exposures is no share/],
    ["a shadow of nothing", { shadow: { service: other, share: 0 } }, /shadow\.share is no share/],
    ["a misspelt option", { salts: "x" } as never, /there is no option "salts": did you mean salt\?/],
  ])("refuses %s, and says at which line", (_, change, message) => {
    const refused = refusalOf(() => experiment("eta_v2", { ...OPTIONS, ...change }));
    expect(refused.message).toMatch(message);
    expect(refused.where).toMatch(/experiments\.test\.ts:\d+$/);
  });
});

describe("an experiment among definitions", () => {
  const all: readonly Definition[] = [user, route, rides, userRides, routeRides, one, other];
  const registered = new Map(all.map((definition) => [keyOf(definition), definition]));
  const refusal = (made: Definition): string => refusalOf(() => planChanges([made], registered)).message;

  it("is planned in a line", () => {
    const made = experiment("eta_v2", { ...OPTIONS, shadow: other });
    expect(planChanges([made], registered).changes).toMatchObject([
      {
        change: "add",
        kind: "experiment",
        name: "eta_v2",
        details: ["eta@1 90, eta_more@1 10 by user, eta_more@1 computed beside 10%"],
      },
    ]);
  });

  it("must name services that are there", () => {
    expect(refusal(experiment("eta_v2", { ...OPTIONS, service: [one, "eta_mor@1"] }))).toMatch(
      /there is no service "eta_mor@1"/,
    );
    expect(refusal(experiment("eta_v2", { ...OPTIONS, shadow: "eta@7" }))).toMatch(/there is no service "eta@7"/);
  });

  it("must have a name of its own, and a unit that its versions read", () => {
    expect(refusal(experiment("eta", OPTIONS))).toMatch(/a service has its name/);
    expect(refusal(experiment("eta_v2", { ...OPTIONS, unit: "airport" }))).toMatch(
      /unit airport is none of the entities that its versions read: user, route/,
    );
    const made = experiment("eta_v2", OPTIONS);
    const before = new Map([...registered, [keyOf(made), made]]);
    expect(refusalOf(() => planChanges([service("eta_v2", { features: [userRides] })], before)).message).toMatch(
      /an experiment has its name/,
    );
  });

  it("refuses a shadow that reads what requests do not carry", () => {
    const made = experiment("eta_v2", { ...OPTIONS, service: [one], weights: [1], shadow: other });
    expect(refusal(made)).toMatch(/its shadow reads route, which requests do not carry/);
  });

  it("never changes what its units are assigned by, and takes other weights as a ramp", () => {
    const made = experiment("eta_v2", OPTIONS);
    const before = new Map([...registered, [keyOf(made), made]]);
    const change = (options: Partial<ExperimentOptions>): string[] => {
      const [planned] = planChanges([experiment("eta_v2", { ...OPTIONS, ...options })], before).changes;
      return [planned!.change, ...planned!.details.slice(-1)];
    };
    expect(change({})).toEqual(["unchanged"]);
    expect(change({ salt: "other" })).toEqual([
      "refuse",
      expect.stringMatching(/the salt of an experiment never changes/),
    ]);
    expect(change({ service: [one, other].toReversed() })[0]).toBe("refuse");
    expect(change({ unit: route })[0]).toBe("refuse");
    expect(change({ weights: [50, 50] })[0]).toBe("change");
    expect(change({ weights: [95, 5] })).toEqual([
      "refuse",
      "with weights 95, 5 units of eta_more@1 would move back: it is at 90, 10",
    ]);
    expect(change({ overrides: { u1: other }, exposures: 0.5, shadow: other })[0]).toBe("change");
  });
});
