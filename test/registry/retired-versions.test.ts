/** Retiring a version: refused while anything the registry knows of needs it, and for good. */
import { beforeEach, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import { count } from "../../src/define/aggregation-builder.ts";
import { alert, retrain } from "../../src/define/alert.ts";
import { webhook } from "../../src/define/destination.ts";
import { experiment } from "../../src/define/experiment.ts";
import { service } from "../../src/define/service.ts";
import { view } from "../../src/define/view.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import type { SharedRegistry } from "../../src/registry/stored-registry.ts";
import { describeOnEach } from "./backends.ts";
import { all, changedView, model, payments, spend, user } from "./example-definitions.ts";

const DAY = 86_400_000_000;
const START = parseMicros("2026-01-01T00:00:00Z");
const spend2 = changedView({ version: 2 });
const model2 = service("model", { version: 2, features: [spend2 as typeof spend] });

async function refusal(work: () => unknown): Promise<OnefoldError> {
  try {
    await work();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

describeOnEach("retiring", (backend) => {
  let clock: ReplayClock;
  let registry: SharedRegistry;
  beforeEach(async () => {
    clock = new ReplayClock(START);
    registry = await backend.open(clock);
    await registry.apply([...all, spend2, model2]);
  });
  const retire = (target: string): Promise<unknown> => registry.retire({ target, by: "ada" });

  it("refuses while an alias, what is kept to go back to, a definition or a rule needs it, and says each", async () => {
    const hook = webhook("hook", { url: "http://127.0.0.1:9/" });
    await registry.apply([
      hook,
      alert("moved", { on: "drift", view: spend, to: hook }),
      alert("old", { on: "drift", service: "model@1", to: hook }),
      retrain("again", { service: "model@1", labels: { every: "1d", range: "30d" }, to: hook }),
    ]);
    await registry.moveAlias({ action: "promote", target: "model@1", alias: "canary", by: "ada" });
    await registry.moveAlias({ action: "promote", target: "model@1", by: "ada" });
    await registry.moveAlias({ action: "promote", target: "model@2", by: "ada", keepMicros: 3 * DAY });
    // Left again for a shorter time, it is told of once, with the latest.
    await registry.moveAlias({ action: "rollback", name: "model", by: "ada", keepMicros: 1 });
    await registry.moveAlias({ action: "promote", target: "model@2", by: "ada", keepMicros: DAY });
    const error = await refusal(() => retire("model@1"));
    expect(error).toMatchObject({ code: "STILL_READ", status: 409 });
    expect(error.message.split("\n  ").slice(1)).toEqual([
      "the alias model@canary names it",
      "it is kept until 2026-01-04T00:00:00Z, so that model@prod can go back to it",
      "alert old reads it",
      "retrain again reads it",
    ]);
    expect((await refusal(() => retire("spend@1"))).message.split("\n  ").slice(1)).toEqual([
      "service model reads it",
      "alert moved reads it",
    ]);
    expect(registry.readersOf({ target: "spend@2" }).readers).toEqual(["service model@2 reads it"]);
    expect(registry.retired()).toEqual([]);
  });

  it("refuses what has the last feature that a rule watches by its name alone", async () => {
    const hook = webhook("hook", { url: "http://127.0.0.1:9/" });
    const old = view("old", { entity: user, source: payments, features: { only_here: count() } });
    const named = service("named", { features: [old.prefix("its_")] });
    const rules = [
      alert("of_a_view", { on: "drift", feature: "only_here", to: hook }),
      alert("of_a_vector", { on: "drift", feature: "its_only_here", to: hook }),
      alert("of_many", { on: "drift", feature: "payments_1h", to: hook }),
    ];
    await registry.apply([old, named, hook, ...rules]);
    expect(registry.readersOf({ target: "named@1" }).readers).toEqual(["alert of_a_vector reads it"]);
    expect(registry.readersOf({ target: "old@1" }).readers).toEqual([
      "service named reads it",
      "alert of_a_view reads it",
    ]);
    expect(registry.readersOf({ target: "spend@1" }).readers).toEqual(["service model reads it"]);
    // What they watch elsewhere as well may go, and they are applied as they were.
    await retire("model@1");
    await retire("spend@1");
    expect(registry.plan([...rules, hook])).toMatchObject({ dirty: false, refused: false });
  });

  it("takes it out once nothing does, keeps what it was, and never gives its number to anything else", async () => {
    await registry.moveAlias({ action: "promote", target: "model@1", by: "ada" });
    await registry.moveAlias({ action: "promote", target: "model@2", by: "ada", keepMicros: DAY });
    await refusal(() => retire("model@1"));
    clock.advanceTo((START + DAY) as Micros);
    await retire("model@1");
    await retire("spend@1");
    for (const one of [registry, await backend.open(clock)]) {
      expect(one.services().map(({ definition }) => definition.version)).toEqual([2]);
      expect(one.views().map(({ definition }) => definition.version)).toEqual([2]);
      expect((await refusal(() => one.service("model@1"))).candidates).toEqual(["model@2"]);
      expect(one.retired()).toMatchObject([
        { by: "ada", retiredAt: "2026-01-02T00:00:00Z", fingerprint: fingerprint(model) },
        { definition: { name: "spend", version: 1 }, fingerprint: fingerprint(spend) },
      ]);
      expect(one.serviceOfFingerprint(fingerprint(model))).toMatchObject({ name: "model" });
      expect(one.history().at(-1)!.changes).toMatchObject([{ change: "remove", name: "spend@1" }]);
    }
    expect(
      (await refusal(() => registry.moveAlias({ action: "rollback", name: "model", by: "ada" }))).message,
    ).toContain("model@1 was retired");
    // The definitions file may have them still: as they were, they are passed over.
    const plan = registry.plan([...all, spend2, model2]);
    expect(plan).toMatchObject({ dirty: false, refused: false });
    expect(plan.changes.find(({ name }) => name === "spend@1")!.details[0]).toContain("take it out of the definitions");
    await registry.apply([...all, spend2, model2]);
    expect(registry.views()).toHaveLength(1);
    // Anything else under their numbers is refused, and so is what would read them.
    const error = await refusal(() => registry.apply([{ ...spend, exactEvents: 64 }]));
    expect(error).toMatchObject({ code: "DEFINITION_CHANGED" });
    expect(error.message).toContain("its number is not given again");
    expect((await refusal(() => registry.apply([spend, service("later", { features: [spend] })]))).code).toBe(
      "DEFINITION_INVALID",
    );
  });

  it("refuses a version that an experiment serves, until that was stopped and retired itself", async () => {
    const tried = experiment("tried", { service: ["model@1", "model@2"], weights: [9, 1], unit: "user", salt: "s" });
    await registry.apply([tried]);
    expect(registry.readersOf({ target: "model@1" }).readers).toEqual(["experiment tried reads it"]);
    expect((await refusal(() => retire("tried"))).message).toContain("end it first with onefold experiments stop");
    await registry.stepExperiment("tried", { serve: "model@2" }, "ada");
    expect(registry.readersOf({ target: "model@1" }).readers).toEqual(["experiment tried reads it"]);
    await retire("tried");
    const gone = await refusal(() => registry.service("tried"));
    expect(gone.code).toBe("SERVICE_UNKNOWN");
    expect(gone.message).toMatch(/^there is no service "tried": the experiment of this name was retired at .* by ada$/);
    expect(registry.find({ kind: "experiment" })).toEqual([]);
    await retire("model@1");
    expect(registry.plan([tried, model, spend])).toMatchObject({ dirty: false, refused: false });
  });

  it("wants a version by its number", async () => {
    for (const [target, code] of [
      ["model", "SERVICE_UNKNOWN"],
      ["model@prod", "SERVICE_UNKNOWN"],
      ["model@9", "SERVICE_UNKNOWN"],
      ["spend@9", "VIEW_UNKNOWN"],
      ["spend@dev", "REQUEST_INVALID"],
      ["nothing@1", "SERVICE_UNKNOWN"],
    ] as const) {
      expect((await refusal(() => retire(target))).code).toBe(code);
    }
  });
});
