import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Definition, ViewDefinition } from "../../src/define/definition.ts";
import { fingerprint } from "../../src/registry/fingerprint.ts";
import { model, payments, spend, user } from "./example-definitions.ts";

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, shuffled(member)]),
  );
}

describe("fingerprints", () => {
  /** Written down: another value means that every registry in the field would refuse its own definitions. */
  it.each<[string, Definition, string]>([
    ["an entity", user, "a7ff425320039d08e53592cfa7891467040bf84c92e11c42e378be8e31742140"],
    ["a stream", payments, "406c16a7d68d51b278cf4890bef9c1d599324ce0e5839c196622c4cc7905521f"],
    ["a view", spend, "9654737022d730d1b84c7cca2bb70916ed70eaaab936155bfd9f5cb50905ca68"],
    ["a service", model, "ea6219925624a645f191d08fc22f726597e9223b37e75aeb215c6b0baff387a7"],
  ])("of %s are what they were", (_, definition, expected) => {
    expect(fingerprint(definition)).toBe(expected);
  });

  it("are the SHA-256 of the canonical JSON of the meaning", () => {
    const text = '{"keys":[{"name":"user","type":{"name":"string"}}],"kind":"entity","name":"user"}';
    expect(fingerprint(user)).toBe(createHash("sha256").update(text).digest("hex"));
  });

  it("depend on those expectations of a source that refuse events, and on none of a view", () => {
    const one = { name: "x", column: "amount", rule: { kind: "range", min: 0 }, windowMicros: 1 } as const;
    const warning = [{ ...one, severity: "warn" }] as never;
    const refusing = [{ ...one, severity: "quarantine" }] as never;
    const stricter = [{ ...one, severity: "quarantine", rule: { kind: "range", min: 1 } }] as never;
    expect(fingerprint({ ...payments, expectations: warning })).toBe(fingerprint(payments));
    const prints = [payments, { ...payments, expectations: refusing }, { ...payments, expectations: stricter }];
    expect(new Set(prints.map(fingerprint)).size).toBe(3);
    expect(fingerprint({ ...spend, expectations: warning })).toBe(fingerprint(spend));
  });

  it("do not depend on the order of members", () => {
    for (const definition of [user, payments, spend, model]) {
      expect(fingerprint(shuffled(definition) as Definition)).toBe(fingerprint(definition));
    }
  });

  it("depend on every member that has a meaning", () => {
    const changes: Partial<ViewDefinition>[] = [
      { name: "other" },
      { version: 2 },
      { entity: "other" },
      { source: "other" },
      { key: ["other"] },
      { features: spend.features.slice(1) },
      { features: spend.features.toReversed() },
      { online: false },
      { offline: false },
      { ttlMicros: 1 },
      { forgetAfterMicros: 1 },
      { exactEvents: 1 },
      { features: spend.features.map((feature) => ({ ...feature, default: 1 })) },
    ];
    const hashes = changes.map((parts) => fingerprint({ ...spend, ...parts }));
    expect(new Set([fingerprint(spend), ...hashes]).size).toBe(changes.length + 1);
  });

  it("do not depend on description, owner, tags and place, at any depth", () => {
    const told = {
      ...spend,
      description: "a",
      owner: "b",
      tags: ["c"],
      definedAt: { file: "d", line: 1, column: 1 },
      features: spend.features.map((feature) => ({ ...feature, description: "a", owner: "b", tags: ["c"] })),
    };
    expect(fingerprint(told)).toBe(fingerprint(spend));
    const columns = payments.columns.map((column) => ({ ...column, description: "a" }));
    expect(fingerprint({ ...payments, columns })).toBe(fingerprint(payments));
  });
});
