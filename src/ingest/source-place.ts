/**
 * How far a source has come, as the online store holds it beside states and ids.
 */
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";

export interface SourcePlace {
  /** Offset behind the last event whose id is stored. */
  readonly position: number;
  /** Known time below which no event may come any more; -Infinity at first. */
  readonly knownTime: number;
  /** Known time of the last event that was pushed; -Infinity where there was none. */
  readonly lastEventAt: number;
}

export function readSourcePlace(store: LocalOnlineStore, source: string): SourcePlace {
  const bytes = store.getMeta(metaName(source));
  const never = Number.NEGATIVE_INFINITY;
  if (bytes === null) return { position: 0, knownTime: never, lastEventAt: never };
  const [position, knownTime, lastEventAt] = JSON.parse(Buffer.from(bytes).toString("utf8")) as [
    number,
    number | null,
    (number | null)?,
  ];
  // What an earlier version wrote has no third: the event came at the latest then.
  const ofEarlier = position === 0 ? never : (knownTime ?? never);
  return { position, knownTime: knownTime ?? never, lastEventAt: lastEventAt ?? ofEarlier };
}

export function sourcePlaceMeta(source: string, { position, knownTime, lastEventAt }: SourcePlace): MetaWrite {
  // JSON has null for -Infinity.
  const json = JSON.stringify([position, knownTime, lastEventAt]);
  return { name: metaName(source), bytes: new Uint8Array(Buffer.from(json)) };
}

function metaName(source: string): string {
  return `source/${source}`;
}
