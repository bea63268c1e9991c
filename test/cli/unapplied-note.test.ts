import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { unappliedNote } from "../../src/cli/unapplied-note.ts";
import { count, entity, onDemand, stream, t, view } from "../../src/index.ts";
import { openPlatform } from "../../src/platform.ts";

const user = entity("user", { user_id: t.string() });
const visits = stream("visits", {
  columns: { user_id: t.string(), at: t.timestamp() },
  eventTime: "at",
});
const visitor = (window: "1h" | "2h", key = user) =>
  view("visitor", { entity: key, source: visits, features: { visits: count().over(window) } });

it("says what of the file is not registered so, until it is", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "onefold-unapplied-"));
  const definitions = [user, visits, visitor("1h")];
  const platform = await openPlatform({ dataDir, definitions });
  try {
    expect(unappliedNote(platform, definitions)).toBe(
      "the definitions file differs from what is registered: entity user, stream visits, view visitor@1; onefold plan shows how, onefold apply registers it",
    );
    await platform.apply(definitions);
    expect(unappliedNote(platform, definitions)).toBeNull();
    expect(unappliedNote(platform, [])).toBeNull();
    expect(unappliedNote(platform, [user, visits, visitor("2h")])).toMatch(
      /registered: view visitor@1; onefold plan shows how, onefold apply refuses view visitor@1: load what was applied/,
    );
    const share = (outputs: "share" | "part") =>
      onDemand("share", {
        inputs: [visitor("1h")],
        outputs: { [outputs]: t.float64() },
        compute: ({ visits: found }) => ({ [outputs]: found / 2 }),
      });
    await platform.apply([...definitions, share("share")]);
    expect(unappliedNote(platform, [...definitions, share("part")])).toMatch(
      /onefold apply refuses on-demand share@1: load what was applied, or give it the next version/,
    );
    const broken = { ...visitor("1h"), source: "gone" };
    expect(unappliedNote(platform, [user, visits, broken])).toMatch(/does not fit what is registered.*gone/s);
  } finally {
    await platform.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
