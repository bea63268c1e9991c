import { expect, it } from "vitest";
import { count, entity, stream, t, view } from "../../../src/index.ts";
import { workerNotes } from "../../../src/platform/kafka/worker-notes.ts";

const user = entity("user", { user: t.string() });
const columns = { id: t.string(), user: t.string(), at: t.timestamp() };

it("says where an id counts once for each entity only", () => {
  const direct = stream("direct", { columns, eventTime: "at", id: "id", kafka: { topic: "direct", direct: true } });
  const routed = stream("routed", { columns, eventTime: "at", id: "id", kafka: "routed" });
  const plain = stream("plain", { columns, eventTime: "at", kafka: { topic: "plain", direct: true } });
  const notes = workerNotes([user, direct, routed, plain], false);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toContain("source direct: topic direct is folded directly, so an id counts once for each entity");
});

it("says which drafts are not folded, and what to do, where none are", () => {
  const source = stream("sales", { columns, eventTime: "at", kafka: "sales" });
  const embedded = stream("pushed", { columns, eventTime: "at" });
  const drafts = [source, embedded].map((of) => {
    return view(`by_${of.name}`, { version: "dev", entity: user, source: of, features: { n: count() } });
  });
  const numbered = view("numbered", { entity: user, source, features: { n: count() } });
  const definitions = [user, source, embedded, ...drafts, numbered];
  expect(workerNotes(definitions, true)).toEqual([]);
  expect(workerNotes(definitions, false)).toEqual([
    "view by_sales@dev: workers fold drafts only where they are started with --drafts; see its values with " +
      "onefold preview by_sales@dev --archive FOLDER, or give it a number",
  ]);
});
