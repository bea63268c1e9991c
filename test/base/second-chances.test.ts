import { expect, it } from "vitest";
import { type Chanced, SecondChances } from "../../src/base/second-chances.ts";

interface Named extends Chanced {
  readonly name: string;
}

it("gives up the oldest first, passes over once what was asked for, and gives up none that was let go of otherwise", () => {
  const order = new SecondChances<Named>();
  const entries = ["a", "b", "c", "d"].map((name): Named => ({ name, isAskedFor: name === "a", isKept: name !== "b" }));
  for (const entry of entries) order.add(entry);
  const gone: string[] = [];
  const letGo = ({ name }: Named): void => void gone.push(name);
  order.makeRoom(3, () => gone.length < 1, letGo);
  expect(gone).toEqual(["c"]);
  order.makeRoom(2, () => gone.length < 3, letGo);
  expect(gone).toEqual(["c", "d", "a"]);
  // Nothing is left, and it ends.
  order.makeRoom(0, () => true, letGo);
  expect(gone).toHaveLength(3);
});
