/**
 * How far a source has come, as the online store holds it beside states and ids.
 */
import type { MetaWrite, LocalOnlineStore } from "../online-store/online-store.ts";

export interface SourcePlace {
  /** Offset behind the last event whose id is stored. */
  readonly position: number;
  /** Known time below which no event may come any more; -Infinity at first. */
  readonly knownTime: number;
}

export function readSourcePlace(store: LocalOnlineStore, source: string): SourcePlace {
  const bytes = store.getMeta(metaName(source));
  if (bytes === null) return { position: 0, knownTime: Number.NEGATIVE_INFINITY };
  const [position, knownTime] = JSON.parse(Buffer.from(bytes).toString("utf8")) as [number, number | null];
  return { position, knownTime: knownTime ?? Number.NEGATIVE_INFINITY };
}

export function sourcePlaceMeta(source: string, { position, knownTime }: SourcePlace): MetaWrite {
  const json = JSON.stringify([position, Number.isFinite(knownTime) ? knownTime : null]);
  return { name: metaName(source), bytes: new Uint8Array(Buffer.from(json)) };
}

function metaName(source: string): string {
  return `source/${source}`;
}
