/**
 * Fits on disk: versions, what is found by a fingerprint, and what is refused.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OnefoldError } from "../../src/base/errors.ts";
import { t } from "../../src/define/column-type.ts";
import { customTransformation } from "../../src/define/custom-transformation.ts";
import { service } from "../../src/define/service.ts";
import { impute, standardize } from "../../src/define/transformation.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { openFitStore } from "../../src/registry/fit-files.ts";
import type { NewFit } from "../../src/registry/fitted-service.ts";
import { spend } from "./example-definitions.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fits-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const model = service("model", {
  features: [spend],
  transform: { mean_amount_1h: standardize(impute("mean_amount_1h", "median")) },
});
const redefined = service("model", { features: [spend], transform: { mean_amount_1h: standardize("mean_amount_1h") } });

function newFit(definition: typeof model | typeof redefined, mean: number): NewFit {
  return {
    definition,
    fingerprint: fingerprint(definition),
    parameters: [{ transformation: "standardize(x)", values: 3, parameters: { mean, deviation: 5e-324 } }],
    split: { train: "all rows", rowsTrain: 3, rowsTotal: 3 },
    training: { manifest: 1 },
    created: "2001-01-01T00:00:00Z",
  };
}

function refusal(work: () => unknown): OnefoldError {
  try {
    work();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

describe("fits", () => {
  it("have versions 1, 2, ... and come back to the bit, also from disk", async () => {
    const store = await openFitStore(folder);
    expect(store.fitsOf("model")).toEqual([]);
    const first = await store.put(newFit(model, 0.1 + 0.2));
    const second = await store.put(newFit(model, -1.7976931348623157e308));
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(first.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(first.sha256).not.toBe(second.sha256);
    const again = await openFitStore(folder);
    expect(again.fitsOf("model").map(({ version, sha256, parameters }) => ({ version, sha256, parameters }))).toEqual(
      [first, second].map(({ version, sha256, parameters }) => ({ version, sha256, parameters })),
    );
    const [stored] = again.fitsOf("model");
    expect(fingerprint(stored!.definition)).toBe(stored!.fingerprint);
    expect(stored!.definition.transform).toEqual(model.transform);
  });

  it("are found by the service's fingerprint, the newest first, or by version", async () => {
    const store = await openFitStore(folder);
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
    const stores = await Promise.all([1, 2, 3].map(() => openFitStore(folder)));
    const put = await Promise.all(
      stores.flatMap((store, i) => [1, 2].map((j) => store.put(newFit(model, 10 * i + j)))),
    );
    expect(put.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const store of stores) {
      const versions = store.fitsOf("model").map(({ version }) => version);
      expect(versions).toHaveLength(2);
      expect(versions).toEqual(versions.toSorted());
    }
    const stored = (await openFitStore(folder)).fitsOf("model");
    for (const fit of put) expect(stored[fit.version - 1]!.sha256).toBe(fit.sha256);
    // nothing of a write is left beside the fits
    expect((await readdir(join(folder, "fits", "model"))).sort()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `${n}.json`));
  });

  it("are refused when damaged, and no older one is taken in their place", async () => {
    const store = await openFitStore(folder);
    await store.put(newFit(model, 1));
    await store.put(newFit(model, 2));
    const file = join(folder, "fits", "model", "2.json");
    const text = await readFile(file, "utf8");
    const damages = [
      text.replace('"mean": 2', '"mean": 3'),
      text.replace('"format": 1', '"format": 2'),
      text.slice(0, 100),
      "null",
      // one of another version under this name is no better
      await readFile(join(folder, "fits", "model", "1.json"), "utf8"),
    ];
    for (const damage of damages) {
      expect(damage).not.toBe(text);
      await writeFile(file, damage);
      const opened = await openFitStore(folder);
      expect(refusal(() => opened.fitFor("model", fingerprint(model)))).toMatchObject({
        code: "FIT_CORRUPT",
        where: file,
      });
      expect(refusal(() => opened.fitsOf("model")).code).toBe("FIT_CORRUPT");
      expect(opened.fitFor("model", fingerprint(model), 1).version).toBe(1);
    }
  });

  it("hold no code: what they are read back with refuses until it is loaded", async () => {
    const doubled = customTransformation("doubled", {
      output: t.float64(),
      fit: (values: readonly number[]) => values.length,
      apply: (value: number, count) => value * count,
    });
    const custom = service("model", { features: [spend], transform: { x: doubled("payments_1h") } });
    await (
      await openFitStore(folder)
    ).put({ ...newFit(model, 1), definition: custom, fingerprint: fingerprint(custom) });
    const [stored] = (await openFitStore(folder)).fitsOf("model");
    expect(fingerprint(stored!.definition)).toBe(fingerprint(custom));
    const { node } = stored!.definition.transform![0]!;
    const { apply, fit } = (node as Extract<typeof node, { op: "custom" }>).custom;
    expect(refusal(() => apply(1, 2)).code).toBe("FINGERPRINT_MISMATCH");
    expect(refusal(() => fit!([])).code).toBe("FINGERPRINT_MISMATCH");
  });
});
