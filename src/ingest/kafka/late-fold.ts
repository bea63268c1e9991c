/**
 * Views that come later: folded from the beginning of the partition beside the others, which go on, until they have
 * caught up.
 *
 *     0 ──────────▶ late ────────────────────▶ main ─────────▶ end
 *       new views        what is ahead of them      the others
 *
 * The late fold never passes the main one, and has a position of its own. Once both stand at one offset they are one:
 * whatever a fold decides follows from the records before, so the memory of both is the same there, and the main
 * position takes the new views in. After a crash the late fold goes on from its position, or, where the views are
 * other ones by then, from the beginning; events that a state holds are skipped.
 */
import type { FoldedPartition, PartitionPlace } from "./folded-partition.ts";
import { PartitionFold, type PartitionFoldOptions } from "./partition-fold.ts";
import type { RouteParts } from "./route-parts.ts";
import type { FoldPosition } from "./position.ts";

export interface OpenedPartition {
  readonly main: FoldedPartition;
  readonly late: FoldedPartition | null;
}

/** `place.position` is that of the main fold. */
export function openPartition(
  parts: RouteParts & Pick<PartitionFoldOptions, "sight">,
  place: PartitionPlace,
  latePosition: FoldPosition | null,
): OpenedPartition {
  const { sight: _, ...unseen } = parts;
  const { route } = parts;
  const { position, topicId } = place;
  const known = route.views.filter(({ foldName }) => position?.views[foldName] !== undefined);
  const isTogether = position === null || known.length === 0 || known.length === route.views.length;
  if (isTogether) return { main: new PartitionFold({ ...parts, ...place }), late: null };
  const views = route.views.filter((view) => !known.includes(view));
  const goesOn = latePosition?.topicId === topicId ? latePosition : null;
  return {
    main: new PartitionFold({ ...parts, ...place, route: { ...route, views: known } }),
    late: new PartitionFold({ ...unseen, ...place, route: { ...route, views }, position: goesOn, isLate: true }),
  };
}

/** The main position with the late views in it; null as long as they are behind. */
export function joinedPosition({ main, late }: OpenedPartition): FoldPosition | null {
  if (late === null || late.offset !== main.offset) return null;
  if (main.storedOffset !== main.offset || late.storedOffset !== late.offset) return null;
  const { position } = main;
  return { ...position, views: { ...position.views, ...late.position.views } };
}
