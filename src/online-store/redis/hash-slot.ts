/**
 * The hash slots of Redis Cluster: CRC-16 (XMODEM) of what stands in a key's braces, modulo 16,384. Asked the other way
 * round: what to put into them for a key to be in a given slot.
 */
const SLOTS = 16_384;

export function hashSlot(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}

const tags = new Map<number, string>();
let next = 0;

/** The same for a slot each time within a process. */
export function tagInSlot(slot: number): string {
  for (; !tags.has(slot); next++) {
    const tag = next.toString(36);
    const found = hashSlot(tag);
    if (!tags.has(found)) tags.set(found, tag);
  }
  return tags.get(slot)!;
}
