/**
 * Fits on disk: what is not whole yet, and what is damaged.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { openFitStore } from "../../src/registry/fit-files.ts";
import { model, newFit, refusal } from "./example-fits.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fits-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("fits", () => {
  it("leave nothing of a write beside them, whoever writes them at once", async () => {
    const stores = await Promise.all([1, 2, 3].map(() => openFitStore(folder)));
    await Promise.all(stores.flatMap((store, i) => [1, 2].map((j) => store.put(newFit(model, 10 * i + j)))));
    expect((await readdir(join(folder, "fits", "model"))).sort()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `${n}.json`));
  });

  it("are taken up when another process has stored them, and not before they are whole", async () => {
    const store = await openFitStore(folder);
    expect(await store.takeUp()).toEqual({ added: 0, unread: [] });
    const other = await openFitStore(folder);
    await other.put(newFit(model, 1));
    expect(refusal(() => store.fitFor("model", fingerprint(model))).code).toBe("SERVICE_NOT_FITTED");
    expect(await store.takeUp()).toEqual({ added: 1, unread: [] });
    expect(await store.takeUp()).toEqual({ added: 0, unread: [] });
    expect(store.fitFor("model", fingerprint(model)).version).toBe(1);

    const { version } = await other.put(newFit(model, 2));
    const file = join(folder, "fits", "model", `${version}.json`);
    const text = await readFile(file, "utf8");
    for (let kept = 0; kept < text.length - 1; kept += 97) {
      await writeFile(file, text.slice(0, kept));
      expect(await store.takeUp()).toMatchObject({ added: 0, unread: [{ code: "FIT_CORRUPT", where: file }] });
      // what was served goes on: this one was never seen whole
      expect(store.fitFor("model", fingerprint(model)).version).toBe(1);
      expect(store.fitsOf("model")).toHaveLength(1);
    }
    // one that is stored now goes behind it
    expect((await store.put(newFit(model, 3))).version).toBe(3);
    await writeFile(file, text);
    expect(await store.takeUp()).toEqual({ added: 1, unread: [] });
    expect(store.fitsOf("model").map((fit) => fit.version)).toEqual([1, 2, 3]);
  });

  it("are taken up again once a damaged one was restored", async () => {
    await (await openFitStore(folder)).put(newFit(model, 1));
    const file = join(folder, "fits", "model", "1.json");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.slice(0, 50));
    const store = await openFitStore(folder);
    expect(refusal(() => store.fitFor("model", fingerprint(model))).code).toBe("FIT_CORRUPT");
    expect(await store.takeUp()).toMatchObject({ added: 0, unread: [{ code: "FIT_CORRUPT" }] });
    await writeFile(file, text);
    expect(await store.takeUp()).toEqual({ added: 1, unread: [] });
    expect(store.fitFor("model", fingerprint(model)).version).toBe(1);
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
});
