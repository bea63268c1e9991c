/**
 * What a forgetting waits for workers to do, seen in what they store: that all of a source's topic up to a place is routed, that
 * marks are folded, that no view is on its way through the past.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { OnefoldError } from "../../base/errors.ts";
import { formatViewName } from "../../define/definition.ts";
import { decodePosition, partitionName, positionMetaName } from "../../ingest/kafka/position.ts";
import type { FetchFrom, TopicFacts } from "../../ingest/kafka/records.ts";
import { RoutePosition } from "../../ingest/kafka/route-position.ts";
import { decodePlace } from "../../ingest/kafka/view-places.ts";
import { viewMetaName } from "../../ingest/stored-view.ts";
import type { OnlineStore } from "../../online-store/online-store.ts";
import type { ForgetConnection } from "./forget-house.ts";
import type { FoldedDraft } from "./forgotten-drafts.ts";
import { type ForgottenSource, isSameKey } from "./forgotten-source.ts";

export interface Waiting {
  /** So long nothing may change. */
  readonly stalledMs: number;
  readonly lookMs: number;
  /** Told how much is left. */
  onLeft(left: number): void;
}

/** Until `look` finds nothing left. Throws `FORGET_UNFINISHED` once that has not changed for so long. */
async function until(
  { stalledMs, lookMs, onLeft }: Waiting,
  for_: string,
  hint: string,
  look: () => Promise<readonly string[]>,
): Promise<void> {
  let before = "";
  for (let movedMs = performance.now(); ;) {
    const left = await look();
    onLeft(left.length);
    if (left.length === 0) return;
    const now = left.join(", ");
    if (now !== before) movedMs = performance.now();
    before = now;
    if (performance.now() - movedMs > stalledMs) {
      throw new OnefoldError("FORGET_UNFINISHED", `${for_}, and nothing has come of it for ${stalledMs / 1000} s`, {
        where: left.slice(0, 5).join(", "),
        hint,
      });
    }
    await sleep(lookMs);
  }
}

const RUN_WORKERS =
  "start workers with --archive and all registered views (or retire those that you do not want), or see what holds them up (GET /health); then give the same command again";

/** Of a draft that no worker folds any more one must say so, as its states are folded on from where they stand. */
const RUN_DRAFTS =
  "start a worker with --drafts and --archive: with the draft among its definitions it folds it, without it what the draft was is forgotten; then give the same command again";

/** Of a topic that nothing but drafts is folded from: their names, for messages. */
function draftsAlone({ folded }: ForgottenSource, drafts: readonly FoldedDraft[], topic: string): string {
  const names = drafts.filter((each) => each.topic === topic && !folded.has(topic)).map(({ name }) => name);
  return names.length === 0 ? "" : ` for draft ${names.join(", ")}`;
}

function hintFor(hasDrafts: boolean): string {
  return hasDrafts ? `${RUN_WORKERS}; of a draft: ${RUN_DRAFTS}` : RUN_WORKERS;
}

/** All before `ends` of the source's topic stands in the topics that are folded. */
export async function waitUntilRouted(
  connection: ForgetConnection,
  source: ForgottenSource,
  { facts, ends, drafts }: RoutedSoFar,
  waiting: Waiting,
): Promise<void> {
  const { topic } = source.source.kafka!;
  const starts = await connection.offsets(topic, "start");
  const wanted = ends.flatMap((end, partition) => (end > (starts[partition] ?? 0) ? [{ topic, partition }] : []));
  if (wanted.length === 0) return;
  const targets = new Set([...source.folded.keys(), ...drafts.map((draft) => draft.topic)]);
  const hint = hintFor(drafts.length > 0);
  await until(waiting, `events of ${topic} wait to be routed`, hint, async () => {
    const committed = await connection.committedBy(`${connection.settings.prefix}.route`, wanted);
    return wanted.flatMap(({ partition }, i) =>
      Array.from(targets).flatMap((name) => {
        const at = new RoutePosition(committed[i] ?? null, [facts.get(name)!.id], starts[partition] ?? 0);
        if (at.live >= ends[partition]!) return [];
        return [`${partitionName(topic, partition)} at ${at.live}${draftsAlone(source, drafts, name)}`];
      }),
    );
  });
}

export interface RoutedSoFar {
  readonly facts: ReadonlyMap<string, TopicFacts>;
  readonly ends: readonly number[];
  readonly drafts: readonly FoldedDraft[];
}

/** All before these places is folded, into every view that was ever folded there, and stored. */
export async function waitUntilFolded(
  store: OnlineStore,
  source: ForgottenSource,
  { places, drafts }: { readonly places: readonly FetchFrom[]; readonly drafts: readonly FoldedDraft[] },
  waiting: Waiting,
): Promise<void> {
  const { views, folded } = source;
  const told = await store.read(
    [],
    views.map((view) => viewMetaName(formatViewName(view))),
  );
  const known = views.filter((_, i) => decodePlace(told.metas[i] ?? null)?.space.endsWith("#kafka") === true);
  const viewsOf = (topic: string): readonly string[] =>
    known.filter(({ key }) => isSameKey(key, folded.get(topic) ?? [])).map((view) => formatViewName(view));
  const draftsOf = (topic: string): string => draftsAlone(source, drafts, topic);
  const hint = hintFor(drafts.length > 0);
  const names = places.flatMap(({ topic, partition }) =>
    [false, true].map((isLate) => positionMetaName(topic, partition, isLate)),
  );
  await until(waiting, "marks of what is forgotten wait to be folded", hint, async () => {
    const { metas } = await store.read([], names);
    return places.flatMap(({ topic, partition, offset }, i) => {
      const [main = null, late = null] = metas.slice(2 * i, 2 * i + 2).map((bytes) => bytes && decodePosition(bytes));
      // A worker that was killed as the two became one has left it there for good.
      const isJoined = late !== null && main !== null && Object.keys(late.views).every((view) => view in main.views);
      const at = Math.min(main?.offset ?? 0, late === null || isJoined ? Number.POSITIVE_INFINITY : late.offset);
      const behind = at < (main?.offset ?? 0) ? ` for ${Object.keys(late?.views ?? {}).join(", ")}` : draftsOf(topic);
      if (at < offset) return [`${partitionName(topic, partition)} at ${at}${behind}`];
      const absent = viewsOf(topic).filter((view) => (main?.views[view] ?? 0) < offset);
      return absent.map((view) => `${partitionName(topic, partition)} for ${view}, which no worker folds`);
    });
  });
}

/** No view is folded from the beginning of its topic, where somebody may have read what nobody can read any more. */
export async function waitUntilBuilt(store: OnlineStore, views: readonly string[], waiting: Waiting): Promise<void> {
  const names = views.map(viewMetaName);
  const hint = `views that come later must first have caught up: ${hintFor(views.some((name) => name.endsWith("@dev")))}`;
  await until(waiting, "views are being built", hint, async () => {
    const { metas } = await store.read([], names);
    return views.filter((_, i) => decodePlace(metas[i] ?? null)?.building === true);
  });
}
