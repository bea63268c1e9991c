/** Versions of services, wherever they are registered: beside each other, unchanged, and as before where there are none. */
import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { parseMicros } from "../../src/base/micros.ts";
import { alert } from "../../src/define/alert.ts";
import { webhook } from "../../src/define/destination.ts";
import { service } from "../../src/define/service.ts";
import { referenceOfId, serviceId, serviceReference } from "../../src/define/service-version.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { decodeRegistry, encodeRegistry } from "../../src/registry/registry-content.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { describeOnEach } from "./backends.ts";
import { all, changedService, model, spend } from "./example-definitions.ts";
import { newFit, refusal as refusalOf } from "./example-fits.ts";

const second = service("model", { version: 2, features: [spend.pick("payments_1h")] });

async function refusal(work: () => unknown): Promise<OnefoldError> {
  try {
    await work();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

describe("a service's version", () => {
  it("is 1 where none is given, which says nothing in its data and its fingerprint", () => {
    const named = service("model", { version: 1, features: [spend] });
    expect(Object.keys(named)).not.toContain("version");
    expect(fingerprint(named)).toBe(fingerprint(model));
    expect(fingerprint(second)).not.toBe(fingerprint(service("model", { features: [spend.pick("payments_1h")] })));
  });

  it("is a whole number from 1, and never a draft", () => {
    for (const version of [0, -1, 1.5, "dev", "2"]) {
      expect(refusalOf(() => service("model", { version: version as number, features: [spend] })).message).toContain(
        "not a whole number from 1",
      );
    }
  });

  it("is named in what is stored where it is not 1, and always where it is looked up", () => {
    expect([model, second].map(serviceId)).toEqual(["model", "model@2"]);
    expect([model, second].map(serviceReference)).toEqual(["model@1", "model@2"]);
    expect([model, second].map(serviceId).map(referenceOfId)).toEqual(["model@1", "model@2"]);
  });
});

describeOnEach("a registry with versions of services", (backend) => {
  let clock: ReplayClock;
  let registry: Registry;
  beforeEach(async () => {
    clock = new ReplayClock(parseMicros("2026-01-01T00:00:00Z"));
    registry = await backend.open(clock);
    await registry.apply(all);
  });

  it("has both, by their names, and the highest where none is named; after it is opened again, too", async () => {
    await registry.apply([second]);
    for (const one of [registry, await backend.open(clock)]) {
      expect(one.service("model@1").fingerprint).toBe(fingerprint(model));
      for (const name of ["model", "model@2", "model@latest"])
        expect(one.service(name).fingerprint).toBe(fingerprint(second));
      expect(one.services().map(({ definition }) => serviceId(definition))).toEqual(["model", "model@2"]);
      expect(one.find({ kind: "service", version: 1 })).toHaveLength(1);
      expect(one.lineage()).toContainEqual({ from: "view:spend@1", to: "service:model@2" });
    }
    const error = await refusal(() => registry.service("model@3"));
    expect(error).toMatchObject({ code: "SERVICE_UNKNOWN", candidates: ["model@1", "model@2"] });
  });

  it("lets version 1 change while it is alone, and no version once there are two", async () => {
    const changed = changedService({ features: second.features });
    expect(registry.plan([changed]).refused).toBe(false);
    await registry.apply([second]);
    for (const one of [changed, { ...second, features: model.features }]) {
      const error = await refusal(() => registry.apply([one]));
      expect(error.code).toBe("DEFINITION_CHANGED");
      expect(error.message).toContain("give it version 3");
    }
    // What is no part of its meaning may be bettered at any time.
    await registry.apply([{ ...second, description: "the newer one" }]);
    expect(registry.service("model@2").definition.description).toBe("the newer one");
  });

  it("is written as it always was, until there is a second version", async () => {
    const format = async (): Promise<unknown> => (JSON.parse(await backend.text()) as { format: unknown }).format;
    expect(await format()).toBe(1);
    expect(await backend.text()).not.toContain('"version": null');
    await registry.apply([second]);
    // Who knows of no versions would take one of them for the other.
    expect(await format()).toBe(2);
  });

  it("keeps rules that name a service as they were, and takes one version alone where that is named", async () => {
    const hook = webhook("hook", { url: "http://127.0.0.1:9/" });
    await registry.apply([second]);
    const rule = (name: string): ReturnType<typeof alert> => alert("moved", { on: "drift", service: name, to: hook });
    for (const name of ["model", "model@1", "model@2"]) expect(registry.plan([hook, rule(name)]).refused).toBe(false);
    expect((await refusal(() => registry.plan([hook, rule("model@3")]))).message).toContain('no service "model@3"');
    expect(alert("moved", { on: "drift", service: [model, second], to: hook }).watches.services).toEqual([
      "model",
      "model@2",
    ]);
  });

  it("numbers the fits of each version by themselves, and finds those of before", async () => {
    const store = await backend.openFits();
    const [first, other] = [await store.put(newFit(model as never, 1)), await store.put(newFit(second as never, 2))];
    expect([first.version, other.version]).toEqual([1, 1]);
    const reader = await backend.openFits();
    expect(reader.fitsOf("model").map(({ sha256 }) => sha256)).toEqual([first.sha256]);
    expect(reader.fitFor("model@2", fingerprint(second)).sha256).toBe(other.sha256);
    expect(refusalOf(() => reader.fitFor("model@2", fingerprint(second), 2)).message).toContain(
      '"model@2" has no fit 2',
    );
  });
});

describe("a registry's text", () => {
  const sealed = (format: number, content: unknown): string =>
    JSON.stringify({ format, checksum: createHash("sha256").update(JSON.stringify(content)).digest("hex"), content });

  it("of before services had versions is read as version 1", () => {
    const text = encodeRegistry({
      definitions: [{ definition: model, fingerprint: fingerprint(model), createdAt: "2026-01-01T00:00:00Z" }],
      history: [],
    });
    const { content } = JSON.parse(text) as { content: unknown };
    const [read] = decodeRegistry(sealed(1, content), "here").definitions;
    expect(serviceReference(read!.definition as typeof model)).toBe("model@1");
    expect(fingerprint(read!.definition)).toBe(fingerprint(model));
  });

  it("of a later format is refused as such", () => {
    const error = refusalOf(() => decodeRegistry(sealed(9, { definitions: [], history: [] }), "here"));
    expect(error).toMatchObject({ code: "REGISTRY_TOO_NEW", where: "here" });
  });
});
