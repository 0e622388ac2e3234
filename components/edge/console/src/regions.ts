/** What the pages say of regions: their least price, who stands there, which of them another boundary adds. */
import type { PriceBook, Workload } from "../../workers/shared/wire";
import { machinesOf } from "./figures";
import { type Place, placeOf } from "./map/places";

/** The least spot price in each region, by `cloud/region`. */
export function cheapest(book: PriceBook | null): Map<string, number> {
  const found = new Map<string, number>();
  for (const { offer, spotUsdPerHour } of book?.quotes ?? []) {
    const key = `${offer.cloud}/${offer.region}`;
    if (spotUsdPerHour !== null && spotUsdPerHour < (found.get(key) ?? Number.POSITIVE_INFINITY)) found.set(key, spotUsdPerHour);
  }
  return found;
}

export interface Site {
  place: Place;
  workloads: Workload[];
}

/** Regions with the workloads that stand there, busiest last, so that they are drawn on top. */
export function sites(workloads: Workload[]): Site[] {
  const found = new Map<string, Site>();
  for (const workload of workloads) {
    for (const { offer } of machinesOf(workload)) {
      const place = placeOf(offer.cloud, offer.region);
      if (!place) continue;
      const key = `${place.cloud}/${place.region}`;
      const there = found.get(key)?.workloads ?? [];
      if (!there.includes(workload)) found.set(key, { place, workloads: [...there, workload] });
    }
  }
  return [...found.values()].sort((one, other) => one.workloads.length - other.workloads.length);
}

/** The regions of `after` that `before` lacks, by cloud. */
export function beyond(before: Record<string, string[]>, after: Record<string, string[]>): string[] {
  return Object.entries(after).flatMap(([cloud, regions]) => regions.filter((region) => !(before[cloud] ?? []).includes(region)).map((region) => `${cloud} ${region}`));
}
