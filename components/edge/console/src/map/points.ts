/** What the map shows of a region: who stands there, what it asks, whether a boundary lets it in; and the way from one to the next by keyboard. */
import type { PriceBook, Workload } from "../../../workers/shared/wire";
import { hourly } from "../figures";
import { cheapest, sites } from "../regions";
import { PLACES, type Place } from "./places";

export interface Point {
  /** `cloud/region`. */
  key: string;
  place: Place;
  /** The least spot price there, in USD/h; undefined where none is quoted. */
  usdPerHour: number | undefined;
  inside: boolean;
  workloads: Workload[];
}

/** Steps of PageUp and PageDown. */
const FAR = 10;

/** Every region that is quoted or where a workload stands, in the order in which they are drawn: the busiest last, on top. */
export function pointsOf(workloads: Workload[], book: PriceBook | null, allowed: Record<string, string[]> | null): Point[] {
  const prices = cheapest(book);
  const standing = sites(workloads);
  const held = new Set(standing.map(({ place }) => place));
  const point = (place: Place, here: Workload[]): Point => {
    const key = `${place.cloud}/${place.region}`;
    return { key, place, usdPerHour: prices.get(key), inside: allowed === null || (allowed[place.cloud] ?? []).includes(place.region), workloads: here };
  };
  const quoted = PLACES.filter((place) => !held.has(place) && prices.has(`${place.cloud}/${place.region}`));
  return [...quoted.map((place) => point(place, [])), ...standing.map(({ place, workloads: here }) => point(place, here))];
}

/** A point in words. */
export function said({ place, usdPerHour, inside, workloads }: Point): string {
  const price = usdPerHour === undefined ? "not quoted now" : `from ${hourly(usdPerHour)} an hour`;
  const here = workloads.length > 0 ? `; ${workloads.map(({ id }) => id).join(", ")} ${workloads.length > 1 ? "run" : "runs"} here` : "";
  return `${place.cloud.toUpperCase()} ${place.region} (${place.country}): ${price}${here}${inside ? "" : "; outside the boundary"}`;
}

/** From west to east, regions of one place by their names: the order of the arrow keys, in which none is left out. */
export function eastward(points: Point[]): Point[] {
  return [...points].sort((one, other) => one.place.longitude - other.place.longitude || (one.key < other.key ? -1 : 1));
}

/** Where a key leads from the point `from`; null where it leads nowhere. Without a point, to the busiest one. */
export function next(points: Point[], from: string | null, key: string): Point | null {
  const row = eastward(points);
  const at = row.findIndex((one) => one.key === from);
  const steps: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: FAR, PageUp: -FAR, Home: -row.length, End: row.length };
  const by = steps[key];
  if (by === undefined || row.length === 0) return null;
  if (at < 0) return points[points.length - 1] ?? null;
  return row[Math.min(Math.max(at + by, 0), row.length - 1)] ?? null;
}
