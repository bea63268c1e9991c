/**
 * The function by which states are written: it runs on the server, and lands each only over an older one, in one step.
 */
import type { RefusedWrite } from "../online-store.ts";
import { VERSION_BYTES, versionOf } from "../stored-state.ts";

/**
 * KEYS are states; for each there are two ARGV, the stored form of what is to be written and the milliseconds that it
 * is kept for, or nothing. Answers for each that did not land its number and the stored version.
 */
export const WRITE_NEWER: string = `
local refused = {}
for i = 1, #KEYS do
  local value, keptMs = ARGV[2 * i - 1], ARGV[2 * i]
  local stored = redis.call('GETRANGE', KEYS[i], 0, ${VERSION_BYTES - 1})
  local lands = #stored < ${VERSION_BYTES}
  if not lands then
    local epoch, offset = struct.unpack('>I4d', value)
    local storedEpoch, storedOffset = struct.unpack('>I4d', stored)
    lands = epoch > storedEpoch or (epoch == storedEpoch and offset > storedOffset)
  end
  if not lands then
    refused[#refused + 1] = i
    refused[#refused + 1] = stored
  elseif keptMs == '' then
    redis.call('SET', KEYS[i], value)
  else
    redis.call('SET', KEYS[i], value, 'PX', keptMs)
  end
end
return refused
`;
export const WRITE_NEWER_COMMAND = "onefoldWriteNewer";

/** Of what it answers; `indexes`: the places of its states among all. */
export function refusedIn(reply: readonly (number | Buffer)[], indexes: readonly number[]): RefusedWrite[] {
  const refused: RefusedWrite[] = [];
  for (let i = 0; i < reply.length; i += 2) {
    const index = indexes[(reply[i] as number) - 1]!;
    refused.push({ index, stored: versionOf(reply[i + 1] as Buffer) });
  }
  return refused;
}
