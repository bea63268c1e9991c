/** Fits, wherever they are kept: versions, and what is found by a fingerprint. */
import { expect, it } from "vitest";
import { t } from "../../src/define/column-type.ts";
import { customTransformation } from "../../src/define/custom-transformation.ts";
import { service } from "../../src/define/service.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { describeOnEach } from "./backends.ts";
import { spend } from "./example-definitions.ts";
import { model, newFit, redefined, refusal } from "./example-fits.ts";

describeOnEach("fits", (backend) => {
  it("that another process has put are found when they are taken up", async () => {
    const [writer, reader] = [await backend.openFits(), await backend.openFits()];
    const put = await writer.put(newFit(model, 1));
    expect(reader.fitsOf("model")).toEqual([]);
    await reader.takeUp();
    expect(reader.fitFor("model", put.fingerprint)).toMatchObject({ version: 1, sha256: put.sha256 });
  });

  it("have versions 1, 2, ... and come back to the bit, also from disk", async () => {
    const store = await backend.openFits();
    expect(store.fitsOf("model")).toEqual([]);
    const first = await store.put(newFit(model, 0.1 + 0.2));
    const second = await store.put(newFit(model, -1.7976931348623157e308));
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(first.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(first.sha256).not.toBe(second.sha256);
    const again = await backend.openFits();
    expect(again.fitsOf("model").map(({ version, sha256, parameters }) => ({ version, sha256, parameters }))).toEqual(
      [first, second].map(({ version, sha256, parameters }) => ({ version, sha256, parameters })),
    );
    const [stored] = again.fitsOf("model");
    expect(fingerprint(stored!.definition)).toBe(stored!.fingerprint);
    expect(stored!.definition.transform).toEqual(model.transform);
  });

  it("are found by the service's fingerprint, the newest first, or by version", async () => {
    const store = await backend.openFits();
    await store.put(newFit(model, 1));
    await store.put(newFit(model, 2));
    await store.put(newFit(redefined, 3));
    expect(store.fitFor("model", fingerprint(model)).version).toBe(2);
    expect(store.fitFor("model", fingerprint(redefined)).version).toBe(3);
    expect(store.fitFor("model", fingerprint(redefined), 1).version).toBe(1);
    expect(refusal(() => store.fitFor("model", fingerprint(model), 4))).toMatchObject({
      code: "FIT_UNKNOWN",
      message: 'service "model" has no fit 4',
      candidates: ["3", "2", "1"],
    });
    expect(refusal(() => store.fitFor("model", "of another definition"))).toMatchObject({
      code: "SERVICE_NOT_FITTED",
      message: 'service "model" has not been fitted since it was redefined',
    });
    expect(refusal(() => store.fitFor("other", "x"))).toMatchObject({
      code: "SERVICE_NOT_FITTED",
      message: 'service "other" has not been fitted',
      hint: expect.stringMatching(/^onefold fit --service other --labels FILE --train-share 0\.8/),
    });
  });

  it("never share a version, whoever writes them at once", async () => {
    const stores = await Promise.all([1, 2, 3].map(() => backend.openFits()));
    const put = await Promise.all(
      stores.flatMap((store, i) => [1, 2].map((j) => store.put(newFit(model, 10 * i + j)))),
    );
    expect(put.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const store of stores) {
      const versions = store.fitsOf("model").map(({ version }) => version);
      expect(versions).toHaveLength(2);
      expect(versions).toEqual(versions.toSorted());
    }
    const stored = (await backend.openFits()).fitsOf("model");
    for (const fit of put) expect(stored[fit.version - 1]!.sha256).toBe(fit.sha256);
  });

  it("hold no code: what they are read back with refuses until it is loaded", async () => {
    const doubled = customTransformation("doubled", {
      output: t.float64(),
      fit: (values: readonly number[]) => values.length,
      apply: (value: number, count) => value * count,
    });
    const custom = service("model", { features: [spend], transform: { x: doubled("payments_1h") } });
    await (await backend.openFits()).put({ ...newFit(model, 1), definition: custom, fingerprint: fingerprint(custom) });
    const [stored] = (await backend.openFits()).fitsOf("model");
    expect(fingerprint(stored!.definition)).toBe(fingerprint(custom));
    const { node } = stored!.definition.transform![0]!;
    const { apply, fit } = (node as Extract<typeof node, { op: "custom" }>).custom;
    expect(refusal(() => apply(1, 2)).code).toBe("FINGERPRINT_MISMATCH");
    expect(refusal(() => fit!([])).code).toBe("FINGERPRINT_MISMATCH");
  });
});
