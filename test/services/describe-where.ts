/**
 * `describe` for tests that need a component, and the one of it that all test files of a run share.
 *
 * Where the component is not to be had the tests are skipped, by name and with what would bring it; in CI none may be,
 * and they fail.
 *
 *     const describeWithKafka = await describeWhere("kafka");
 *     describeWithKafka("a consumer", () => { ... await shared("kafka") ... });
 */
import { describe } from "vitest";
import { DESK_VARIABLE } from "./desk.ts";
import { type ComponentName, type Located, mayBeMissing } from "./locate.ts";

type Describe = (title: string, body: () => void) => void;

/** `ours`: where the tests start and kill one of their own, which no address in the environment can stand in for. */
export async function describeWhere(name: ComponentName, { ours = false } = {}): Promise<Describe> {
  const located = (await ask(ours ? "locate-ours" : "locate", name)) as Located;
  const isSkipped = located.from === "nowhere" && mayBeMissing();
  return (title, body) => {
    if (isSkipped) process.stderr.write(`\n*** NOT CHECKED: ${title}\n*** ${located.bring}.\n\n`);
    describe.skipIf(isSkipped)(title, () => {
      body();
    });
  };
}

/** The address of the component that is shared by the run; started if this is the first to ask. Tests make names of their own in it. */
export async function shared(name: ComponentName): Promise<string> {
  return ((await ask("open", name)) as { readonly address: string }).address;
}

async function ask(work: string, name: ComponentName): Promise<unknown> {
  const response = await fetch(`${process.env[DESK_VARIABLE]}/${work}/${name}`);
  const answer = (await response.json()) as { readonly failed?: string };
  if (answer.failed !== undefined) throw new Error(answer.failed);
  return answer;
}
