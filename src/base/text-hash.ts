/**
 * A hash of text for tables in memory; not for anything that is stored.
 * FNV-1a over the characters, mixed by the end of MurmurHash3 so that its low bits hang on all of them.
 */
export function textHash(text: string, start: number = 0, end: number = text.length, seed: number = 0): number {
  let hash = Math.imul(0x811c9dc5 ^ seed, 0x01000193);
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
