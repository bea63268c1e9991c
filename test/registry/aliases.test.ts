/** Aliases, wherever the registry is: moved one after the other, never over a move that was not seen, with who and when. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ReplayClock } from "../../src/base/clock.ts";
import type { OnefoldError } from "../../src/base/errors.ts";
import { type Micros, parseMicros } from "../../src/base/micros.ts";
import type { Definition } from "../../src/define/definition.ts";
import { service } from "../../src/define/service.ts";
import {
  type AliasMove,
  aliasesOf,
  aliasVersion,
  type AskedMove,
  keptVersions,
  nextMove,
} from "../../src/registry/alias-moves.ts";
import type { SharedRegistry } from "../../src/registry/stored-registry.ts";
import { describeOnEach } from "./backends.ts";
import { all, changedView, spend } from "./example-definitions.ts";

const DAY = 86_400_000_000;
const START = parseMicros("2026-01-01T00:00:00Z");
const versions = [2, 3].map((version) => service("model", { version, features: [spend] }));

async function refusal(work: () => unknown): Promise<OnefoldError> {
  try {
    await work();
  } catch (error) {
    return error as OnefoldError;
  }
  throw new Error("it was accepted");
}

const promote = (target: string, more: Partial<AskedMove> = {}): AskedMove =>
  ({ action: "promote", target, by: "ada", ...more }) as AskedMove;
const rollback = (name: string, more: Partial<AskedMove> = {}): AskedMove =>
  ({ action: "rollback", name, by: "ada", ...more }) as AskedMove;

describeOnEach("aliases", (backend) => {
  let clock: ReplayClock;
  let registry: SharedRegistry;
  beforeEach(async () => {
    clock = new ReplayClock(START);
    registry = await backend.open(clock);
    await registry.apply([...all, ...versions]);
  });
  const meant = (name: string, one = registry): number => one.service(name).definition.version ?? 1;

  it("say what a name alone means, which is the highest version without them", async () => {
    expect(meant("model")).toBe(3);
    expect((await refusal(() => registry.service("model@prod"))).code).toBe("ALIAS_UNKNOWN");
    await registry.moveAlias(promote("model@1"));
    expect(["model", "model@prod", "model@latest", "model@2"].map((name) => meant(name))).toEqual([1, 1, 3, 2]);
    await registry.moveAlias(promote("model@2", { alias: "canary" }));
    expect(["model", "model@canary"].map((name) => meant(name))).toEqual([1, 2]);
    // Registered later, it is nobody's until it is promoted.
    await registry.apply([service("model", { version: 4, features: [spend] })]);
    expect(["model", "model@latest"].map((name) => meant(name))).toEqual([1, 4]);
    expect((await refusal(() => registry.service("model@other"))).candidates).toEqual([
      "model@prod",
      "model@canary",
      "model@latest",
    ]);
  });

  it("go back once for a rollback that says from where, however often it is asked for", async () => {
    for (const one of [1, 2, 3]) await registry.moveAlias(promote(`model@${one}`));
    await registry.moveAlias(rollback("model", { from: 3 }));
    for (let again = 0; again < 2; again++) {
      expect((await refusal(() => registry.moveAlias(rollback("model", { from: 3 })))).code).toBe("ALIAS_MOVED");
      expect(meant("model")).toBe(2);
    }
    await registry.moveAlias(rollback("model"));
    expect(meant("model")).toBe(1);
    // Where there is nothing before it, too.
    await registry.moveAlias(promote("model@1", { alias: "canary" }));
    const canary = { alias: "canary", from: 2 };
    expect((await refusal(() => registry.moveAlias(rollback("model", canary)))).code).toBe("ALIAS_MOVED");
  });

  it("are of views, too", async () => {
    await registry.apply([changedView({ version: 2 })]);
    expect(registry.view("spend").definition.version).toBe(2);
    await registry.moveAlias(promote("spend@1"));
    expect(registry.view("spend").definition.version).toBe(1);
    expect(registry.view("spend@prod").definition.version).toBe(1);
    expect(registry.view("spend@latest").definition.version).toBe(2);
    expect(registry.view("spend", 2).definition.version).toBe(2);
  });

  it("are there after the registry is opened again, with who and when, and through applies", async () => {
    await registry.moveAlias(promote("model@1"));
    clock.advanceTo((START + DAY) as Micros);
    await registry.moveAlias(promote("model@2", { by: "bob", keepMicros: 2 * DAY }));
    await registry.apply([service("model", { version: 4, features: [spend] })]);
    for (const one of [registry, await backend.open(clock)]) {
      expect(one.aliasMoves()).toEqual([
        {
          at: "2026-01-01T00:00:00Z",
          by: "ada",
          action: "promote",
          kind: "service",
          name: "model",
          alias: "prod",
          from: null,
          to: 1,
          former: 3,
          keptUntil: "2026-01-08T00:00:00Z",
        },
        {
          at: "2026-01-02T00:00:00Z",
          by: "bob",
          action: "promote",
          kind: "service",
          name: "model",
          alias: "prod",
          from: 1,
          to: 2,
          former: 1,
          keptUntil: "2026-01-04T00:00:00Z",
        },
      ]);
      expect(aliasesOf(one.aliasMoves())).toMatchObject([{ version: 2, former: 1, by: "bob" }]);
      expect(meant("model", one)).toBe(2);
    }
  });

  it("go back by as many moves as are undone, and then no further", async () => {
    for (const target of ["model@1", "model@2", "model@3"]) await registry.moveAlias(promote(target));
    const seen = [];
    for (let i = 0; i < 3; i++) {
      await registry.moveAlias(rollback("model"));
      seen.push(meant("model"));
    }
    // The first move was away from the highest version, which the name meant before there was an alias.
    expect(seen).toEqual([2, 1, 3]);
    expect((await refusal(() => registry.moveAlias(rollback("model")))).code).toBe("ALIAS_HAS_NO_FORMER");
    await registry.moveAlias(promote("model@1"));
    await registry.moveAlias(rollback("model"));
    expect(meant("model")).toBe(3);
  });

  it("are moved from where they are believed to be, or not at all", async () => {
    await registry.moveAlias(promote("model@1", { from: null }));
    const error = await refusal(() => registry.moveAlias(promote("model@3", { from: 2 })));
    expect(error).toMatchObject({ code: "ALIAS_MOVED", status: 409 });
    expect(meant("model")).toBe(1);
    await registry.moveAlias(promote("model@3", { from: 1 }));
    // Asked again, as after an answer that was lost, it is done already.
    expect(await registry.moveAlias(promote("model@3", { from: 1 }))).toBeNull();
    expect(registry.aliasMoves()).toHaveLength(2);
  });

  it("name what there is: a numbered version, by a name that can be told from a version", async () => {
    const cases: readonly [AskedMove, string][] = [
      [promote("model@9"), "SERVICE_UNKNOWN"],
      [promote("modle@1"), "SERVICE_UNKNOWN"],
      [promote("model"), "REQUEST_INVALID"],
      [promote("model@prod"), "REQUEST_INVALID"],
      [promote("model@1", { alias: "latest" }), "REQUEST_INVALID"],
      [promote("model@1", { alias: "dev" }), "REQUEST_INVALID"],
      [promote("model@1", { alias: "2" }), "REQUEST_INVALID"],
      [promote("model@1", { kind: "view" }), "VIEW_UNKNOWN"],
      [rollback("model"), "ALIAS_UNKNOWN"],
      [rollback("model@prod"), "REQUEST_INVALID"],
      [rollback("model@1"), "REQUEST_INVALID"],
    ];
    for (const [asked, code] of cases) expect((await refusal(() => registry.moveAlias(asked))).code).toBe(code);
    expect(registry.aliasMoves()).toEqual([]);
  });

  it("of a view and a service of one name are told apart by their kind", async () => {
    await registry.apply([changedView({ name: "model" })]);
    expect((await refusal(() => registry.moveAlias(promote("model@1")))).message).toContain(
      "of a view and of a service",
    );
    await registry.moveAlias(promote("model@1", { kind: "service" }));
    expect([meant("model"), registry.view("model").definition.version]).toEqual([1, 1]);
  });
});

describeOnEach("a registry of first versions", (backend) => {
  it("is one that an older Onefold refuses once an alias is set, and not before", async () => {
    const registry = await backend.open(new ReplayClock(START));
    await registry.apply(all);
    const format = async (): Promise<unknown> => (JSON.parse(await backend.text()) as { format: unknown }).format;
    expect(await format()).toBe(1);
    await registry.moveAlias(promote("spend@1"));
    expect(await format()).toBe(2);
  });
});

describe("moves of aliases", () => {
  const definitions = [1, 2, 3, 4].map(
    (version) =>
      ({ ...versions[0]!, ...(version === 1 ? { version: undefined } : { version }) }) as unknown as Definition,
  );
  const step = fc.oneof(
    fc.record({ action: fc.constant("promote" as const), version: fc.integer({ min: 1, max: 4 }), days: fc.nat(9) }),
    fc.record({ action: fc.constant("rollback" as const), version: fc.constant(0), days: fc.nat(9) }),
  );

  it("lead where a stack of what the name meant leads, and keep what was left for as long as was said", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const moves: AliasMove[] = [];
        // The naive model: what the name means, what it meant before each move that is not undone, what was left when.
        let present = 4;
        let isSet = false;
        const before: number[] = [];
        const left: { readonly version: number; readonly until: number }[] = [];
        for (const [i, { action, version, days }] of steps.entries()) {
          const now = (START + i * DAY) as Micros;
          const keepMicros = days * DAY;
          const asked =
            action === "promote" ? promote(`model@${version}`, { keepMicros }) : rollback("model", { keepMicros });
          let move: AliasMove | null | string;
          try {
            move = nextMove({ definitions, moves }, asked, now);
          } catch (error) {
            move = (error as OnefoldError).code;
          }
          if (action === "promote") {
            if (isSet && version === present) expect(move).toBeNull();
            else {
              if (version !== present) {
                before.push(present);
                left.push({ version: present, until: now + keepMicros });
              } else before.push(Number.NaN);
              present = version;
              isSet = true;
            }
          } else if (!isSet) expect(move).toBe("ALIAS_UNKNOWN");
          else if (before.length === 0 || Number.isNaN(before.at(-1)!)) expect(move).toBe("ALIAS_HAS_NO_FORMER");
          else {
            left.push({ version: present, until: now + keepMicros });
            present = before.pop()!;
          }
          if (move !== null && typeof move === "object") moves.push(move);
          const named = aliasVersion(moves, { kind: "service", name: "model", alias: "prod" });
          expect(named ?? 4).toBe(present);
          expect(keptVersions(moves, now).map((kept) => [kept.version, parseMicros(kept.keptUntil)])).toEqual(
            left.filter(({ until }) => until > now).map(({ version: kept, until }) => [kept, until]),
          );
        }
      }),
    );
  });
});
