/** Steps of experiments in the registry: ramps and stops, with who and when, in files and in PostgreSQL. */
import { beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { experiment } from "../../src/define/experiment.ts";
import { service } from "../../src/define/service.ts";
import { decodeRegistry, encodeRegistry } from "../../src/registry/registry-content.ts";
import type { SharedRegistry } from "../../src/registry/stored-registry.ts";
import { describeOnEach } from "./backends.ts";
import { all, spend } from "./example-definitions.ts";
import { codeOf } from "../code-of.ts";

const plain = service("risk", { features: [spend.pick("payments_1h")] });
const rich = service("risk_more", { features: [spend] });
const test = experiment("risk_v2", { service: [plain, rich], weights: [90, 10], unit: "user" });
const definitions = [...all, plain, rich, test];

describeOnEach("experiments of a registry", (backend) => {
  let clock: ReplayClock;
  let registry: SharedRegistry;
  beforeEach(async () => {
    clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));
    registry = await backend.open(clock);
    await registry.apply(definitions);
  });

  it("begin with the weights that were applied, and remember each step with who and when", async () => {
    expect(registry.experimentSteps("risk_v2")).toEqual([{ weights: [90, 10], at: "2026-01-01T00:00:00Z", by: null }]);
    clock.advanceTo(parseMicros("2026-01-02T00:00:00Z"));
    await registry.stepExperiment("risk_v2", { weights: [50, 50] }, "ada");
    clock.advanceTo(parseMicros("2026-01-03T00:00:00Z"));
    await registry.stepExperiment("risk_v2", { serve: "risk_more@1" }, "bob");
    const steps = [
      { weights: [90, 10], at: "2026-01-01T00:00:00Z", by: null },
      { weights: [50, 50], at: "2026-01-02T00:00:00Z", by: "ada" },
      { stopped: 1, at: "2026-01-03T00:00:00Z", by: "bob" },
    ];
    expect(registry.experimentSteps("risk_v2")).toEqual(steps);
    expect((await backend.open(clock)).experimentSteps("risk_v2")).toEqual(steps);
    expect(registry.history().slice(-2)).toMatchObject([
      { changes: [{ kind: "experiment", name: "risk_v2", details: ["90, 10 -> 50, 50 by ada"] }] },
      { changes: [{ kind: "experiment", name: "risk_v2", details: ["50, 50 -> all risk_more@1 by bob"] }] },
    ]);
  });

  it("refuse a step that would move units back, and leave what was", async () => {
    expect(await codeOf(registry.stepExperiment("risk_v2", { weights: [95, 5] }, null))).toBe("EXPERIMENT_BACKWARD");
    expect(await codeOf(registry.stepExperiment("risk_v2", { weights: [1] }, null))).toBe("REQUEST_INVALID");
    expect(await codeOf(registry.stepExperiment("risk_v2", { serve: "risk@7" }, null))).toBe("REQUEST_INVALID");
    expect(await codeOf(registry.stepExperiment("risk_v3", { weights: [1, 1] }, null))).toBe("EXPERIMENT_UNKNOWN");
    expect(registry.experimentSteps("risk_v2")).toHaveLength(1);
  });

  it("end with a stop: asked for again it is no step, and no other follows", async () => {
    await registry.stepExperiment("risk_v2", { serve: "risk@1" }, "ada");
    const { length } = registry.history();
    await registry.stepExperiment("risk_v2", { serve: "risk@1" }, "bob");
    for (const asked of [{ weights: [0, 1] }, { serve: "risk_more@1" }]) {
      const failure: unknown = await registry.stepExperiment("risk_v2", asked, "bob").catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: "EXPERIMENT_STOPPED",
        message: "risk_v2 was stopped at 2026-01-01T00:00:00Z: it is at all risk@1",
        hint: "assign anew by another experiment; this one goes with: onefold retire risk_v2",
      });
    }
    expect(registry.experimentSteps("risk_v2")).toHaveLength(2);
    expect(registry.history()).toHaveLength(length);
  });

  it("are none where the last one is asked for again, as its answer was not heard", async () => {
    await registry.stepExperiment("risk_v2", { weights: [50, 50] }, "ada");
    const { length } = registry.history();
    await registry.stepExperiment("risk_v2", { weights: [50, 50] }, "ada");
    expect(registry.experimentSteps("risk_v2")).toHaveLength(2);
    expect(registry.history()).toHaveLength(length);
  });

  it("are each made of the one before, also where they are asked for at once", async () => {
    const step = (second: number, by: string): Promise<string> =>
      codeOf(registry.stepExperiment("risk_v2", { weights: [100 - second, second] }, by));
    const codes = await Promise.all([step(50, "ada"), step(30, "bob"), step(60, "cleo")]);
    expect(codes).toEqual(["no error", "EXPERIMENT_BACKWARD", "no error"]);
    const kept = (await backend.open(clock)).experimentSteps("risk_v2");
    expect(kept.map(({ by }) => by)).toEqual([null, "ada", "cleo"]);
  });

  it("keep their steps when the same file is applied again, and take other weights as a step", async () => {
    await registry.stepExperiment("risk_v2", { weights: [50, 50] }, "ada");
    expect((await registry.apply(definitions)).dirty).toBe(false);
    expect(registry.experimentSteps("risk_v2")).toHaveLength(2);
    const weights = (...given: number[]): Promise<unknown> =>
      registry.apply([
        ...definitions.slice(0, -1),
        experiment("risk_v2", { service: [plain, rich], weights: given, unit: "user" }),
      ]);
    expect(await codeOf(weights(80, 20))).toBe("DEFINITION_CHANGED");
    await weights(30, 70);
    expect(registry.experimentSteps("risk_v2")).toMatchObject([
      { weights: [90, 10], by: null },
      { weights: [50, 50], by: "ada" },
      { weights: [30, 70], by: null },
    ]);
  });

  it("keep their versions until they are retired themselves, and the same file can be applied throughout", async () => {
    const retired = (target: string): Promise<string> => codeOf(registry.retire({ target, by: "ada" }));
    const isAsIs = async (): Promise<boolean> => !(await registry.apply(definitions)).dirty;
    expect(await retired("risk_v2")).toBe("STILL_READ");
    expect([await retired("risk@1"), await retired("risk_more@1")]).toEqual(["STILL_READ", "STILL_READ"]);
    await registry.stepExperiment("risk_v2", { serve: "risk_more@1" }, "ada");
    // Of a stopped one those that it serves no more, too: the file that has it names them.
    expect([await retired("risk@1"), await retired("risk_more@1")]).toEqual(["STILL_READ", "STILL_READ"]);
    expect(await isAsIs()).toBe(true);
    expect(await retired("risk_v2")).toBe("no error");
    expect(await isAsIs()).toBe(true);
    expect(registry.experiments()).toEqual([]);
    expect(registry.history().at(-1)).toMatchObject({ changes: [{ change: "remove", name: "risk_v2" }] });
    expect((await backend.open(clock)).experiments()).toEqual([]);
    expect([await retired("risk@1"), await retired("risk_more@1")]).toEqual(["no error", "no error"]);
    expect(await isAsIs()).toBe(true);
  });

  it("keep what they run with as it is, their shadow, too, until they are stopped", async () => {
    const shadowed = experiment("watched", {
      service: [plain, rich],
      weights: [1, 0],
      unit: "user",
      shadow: { service: "model@1", share: 1 },
    });
    await registry.apply([shadowed]);
    const narrow = [
      service("risk", { features: [spend.pick("mean_amount_1h")] }),
      service("risk_more", { features: [spend.pick("payments_1h")] }),
      service("model", { features: [spend.pick("payments_1h")] }),
    ];
    for (const one of narrow) {
      const { refused, changes } = registry.plan([one]);
      expect([one.name, refused]).toEqual([one.name, true]);
      expect(changes[0]!.details.at(-1)).toMatch(
        /^experiment \w+ runs with \w+@1, whose values would change under its units/,
      );
      expect(await codeOf(registry.apply([one]))).toBe("DEFINITION_CHANGED");
    }
    expect(registry.plan([{ ...plain, description: "what it says of itself may change" }]).refused).toBe(false);
    // What begins with the change has served nothing else.
    const other = experiment("other", {
      service: [service("late", { features: [spend] }), rich],
      weights: [1, 1],
      unit: "user",
    });
    expect(registry.plan([service("late", { features: [spend] }), other]).refused).toBe(false);
    for (const name of ["risk_v2", "watched"]) await registry.stepExperiment(name, { serve: "risk@1" }, "ada");
    expect(registry.plan(narrow).refused).toBe(false);
    await registry.apply(narrow);
  });

  it("raise the format of what is stored only where there are some", async () => {
    expect((JSON.parse(await backend.text()) as { format: number }).format).toBe(2);
    expect(decodeRegistry(await backend.text(), "here").definitions).toHaveLength(definitions.length);
  });
});

describe("a registry without experiments", () => {
  it("is stored as before there were any", () => {
    expect((JSON.parse(encodeRegistry({ definitions: [], history: [] })) as { format: number }).format).toBe(1);
  });
});
