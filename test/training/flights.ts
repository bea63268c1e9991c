/**
 * Flights as definitions and as events: a composite key, a derived one, and a feature of every type.
 */
import { column, count, col, entity, last, mean, min, service, stream, sum, t, view } from "../../src/index.ts";
import type { Definition } from "../../src/index.ts";
import type { Value } from "../../src/schema/value.ts";
import { minute, type WorldEvent } from "./training-world.ts";

export const route = entity("route", { origin: t.string(), destination: t.string() });
export const airport = entity("airport", { origin: t.string() });
export const carrier = entity("carrier", { carrier: t.string() });

export const flights = stream("flights", {
  columns: {
    origin: t.string(),
    destination: t.string(),
    at: t.timestamp(),
    delay: t.float64().nullable(),
    seats: t.int64().nullable(),
    plane: t.string().nullable(),
    cancelled: t.bool().nullable(),
    due: t.timestamp().nullable(),
    stops: t.array(t.string()).nullable(),
    ticket: t.int64({ wide: true }).nullable(),
    seal: t.bytes().nullable(),
  },
  eventTime: "at",
  derive: { carrier_code: col("plane").lower(), is_late: col("delay").gt(15) },
});

export const routeFlights = view("route_flights", {
  version: 1,
  entity: route,
  source: flights,
  features: {
    flights_1h: count().over("1h"),
    late: count().where(col("is_late").eq(true)),
    delay_sum: sum("delay"),
    delay_min: min("delay").over("30m").default(-1),
    seats: sum("seats"),
    plane: column("plane"),
    cancelled: last("cancelled"),
    due: last("due"),
    stops: last("stops"),
    ticket: last("ticket"),
    seal: last("seal"),
  },
});
export const airportFlights = view("airport_flights", {
  version: 1,
  entity: airport,
  source: flights,
  ttl: "2h",
  features: { mean_delay: mean("delay").over("3h") },
});
/** Keyed by a derived column. */
export const carrierFlights = view("carrier_flights", {
  version: 1,
  entity: carrier,
  source: flights,
  key: { carrier: "carrier_code" },
  features: {
    carrier_flights: count(),
    carrier_delay: sum("delay"),
    carrier_late: count().where(col("is_late").eq(true)),
  },
});

export const model = service("model", { features: [routeFlights, airportFlights] });
export const carrierModel = service("carrier_model", { features: [carrierFlights] });

export const definitions: readonly Definition[] = [
  route,
  airport,
  carrier,
  flights,
  routeFlights,
  airportFlights,
  carrierFlights,
  model,
  carrierModel,
];

/** A flight known `knownAt` minutes after the start, which happened then or, for a late one, at `happenedAt`. */
export function flight(
  origin: string,
  destination: string,
  knownAt: number,
  delay: number | null = null,
  more: Partial<Record<"seats" | "plane" | "cancelled" | "due" | "stops" | "ticket" | "seal", Value>> & {
    happenedAt?: number;
  } = {},
): WorldEvent {
  const { seats = null, plane = null, cancelled = null, due = null, stops = null, ticket = null, seal = null } = more;
  const eventTime = minute(more.happenedAt ?? knownAt);
  return {
    eventTime,
    knownTime: minute(knownAt),
    row: [origin, destination, eventTime, delay, seats, plane, cancelled, due, stops, ticket, seal],
  };
}
