/**
 * How fast a card would have had to travel between payments: a custom aggregation over whole rows.
 *
 * Sines and arcsines are summed here, as an engine's `Math.sin` and `**` are not the same on every machine and
 * version, and a training value must have the bits of the served one. IEEE 754 fixes every bit of + - * / and of
 * the square root, so these do have them. Distances are within 1e-4 of the haversine formula's on a sphere of 6371 km.
 *
 * Exact over the last n payments, whatever comes late, and over windows whose payments are not merged yet. A late
 * payment inside a merged bucket (see docs/ARCHITECTURE.md, "Windows") is compared with none of its neighbours.
 */
import { custom, t } from "onefold";

interface Stop {
  readonly lat: number;
  readonly lon: number;
  readonly at: number;
}

interface Travel {
  readonly first: Stop | null;
  readonly last: Stop | null;
  /** km/h between two stops that follow each other; null of fewer than two. */
  readonly fastest: number | null;
}

/** Fastest speed in km/h between payments that follow each other; payments without a place are passed over. */
export const travelSpeed = custom("travel_speed", {
  output: t.float64(),
  empty: (): Travel => ({ first: null, last: null, fastest: null }),
  add: (state, { lat, lon }: { lat: number | null; lon: number | null }, at: number) => {
    if (lat === null || lon === null) return state;
    return join(state, { first: { lat, lon, at }, last: { lat, lon, at }, fastest: null });
  },
  merge: join,
  read: ({ fastest }) => fastest,
});

function join(earlier: Travel, later: Travel): Travel {
  if (earlier.last === null || later.first === null) return earlier.last === null ? later : earlier;
  const isLate = later.first.at < earlier.last.at;
  const speeds = [earlier.fastest, later.fastest, isLate ? null : speed(earlier.last, later.first)];
  const fastest = speeds.reduce((a, b) => (a === null ? b : b === null ? a : Math.max(a, b)));
  return { first: earlier.first, last: isLate ? earlier.last : later.last, fastest };
}

/** km/h; two payments within a second count as a second apart. */
function speed(from: Stop, to: Stop): number {
  return distanceKm(from, to) / (Math.max(to.at - from.at, 1_000_000) / 3_600_000_000);
}

/** Along a great circle, by the haversine formula. */
export function distanceKm(from: Omit<Stop, "at">, to: Omit<Stop, "at">): number {
  const [north, east] = [Math.abs(to.lat - from.lat), Math.abs(to.lon - from.lon) % 360];
  const cosines = sine(90 - Math.abs(from.lat)) * sine(90 - Math.abs(to.lat));
  const [up, along] = [sine(north / 2), sine((east > 180 ? 360 - east : east) / 2)];
  return 2 * 6371 * arcsine(Math.sqrt(Math.min(up * up + cosines * along * along, 1)));
}

/** Of 0 to 90 degrees, within 1e-9. */
function sine(degrees: number): number {
  const x = degrees * (Math.PI / 180);
  return [156, 110, 72, 42, 20, 6].reduce((rest, divisor) => 1 - ((x * x) / divisor) * rest, 1) * x;
}

/** Of 0 to 1, within 1e-5 of itself. */
function arcsine(x: number): number {
  if (x > 0.5) return Math.PI / 2 - 2 * arcsine(Math.sqrt((1 - x) / 2));
  return x * [81 / 110, 49 / 72, 25 / 42, 9 / 20, 1 / 6].reduce((rest, factor) => 1 + factor * x * x * rest, 1);
}
