/** The world with the clouds' regions on it: where workloads stand, what each region asks, and which a boundary lets in. */
import land, { measures } from "virtual:land";
import type { PriceBook, Workload } from "../../../workers/shared/wire";
import { hourly } from "../figures";
import { cheapest, sites } from "../regions";
import { PLACES, type Place } from "./places";

const { WIDTH, HEIGHT, NORTH, SOUTH } = measures;

export const across = (longitude: number): number => ((longitude + 180) / 360) * WIDTH;
export const down = (latitude: number): number => ((NORTH - latitude) / (NORTH - SOUTH)) * HEIGHT;

/** `allowed`: regions by cloud that a boundary lets in; null draws none as refused. */
export function World({ workloads, book, allowed }: { workloads: Workload[]; book: PriceBook | null; allowed: Record<string, string[]> | null }) {
  const prices = cheapest(book);
  const lets = (place: Place) => allowed === null || (allowed[place.cloud] ?? []).includes(place.region);
  const standing = sites(workloads);
  const described = standing.map(({ place, workloads: here }) => `${here.map(({ id }) => id).join(", ")} in ${place.cloud.toUpperCase()} ${place.region}`).join("; ");
  return (
    <figure class="world">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`World map. ${described || "No workload stands anywhere yet."}`}>
        <g class="land">
          {land.map(([name, path]) => (
            <path key={name} d={path} />
          ))}
        </g>
        <g>
          {PLACES.filter((place) => prices.has(`${place.cloud}/${place.region}`)).map((place) => (
            <circle key={`${place.cloud}/${place.region}`} class={`region ${lets(place) ? "in" : "out"}`} cx={across(place.longitude)} cy={down(place.latitude)} r="3">
              <title>
                {`${place.cloud.toUpperCase()} ${place.region} (${place.country}): from ${hourly(prices.get(`${place.cloud}/${place.region}`))} an hour${lets(place) ? "" : ", outside the boundary"}`}
              </title>
            </circle>
          ))}
        </g>
        <g>
          {standing.map(({ place, workloads: here }) => (
            <g key={`${place.cloud}/${place.region}`} class={`site ${place.cloud}`} transform={`translate(${across(place.longitude)} ${down(place.latitude)})`}>
              <circle class="halo" r={9 + 2 * Math.min(here.length, 5)} />
              <circle class="core" r="6" />
              {here.length > 1 && <text y="3.5">{here.length}</text>}
              <title>{`${here.map(({ id }) => id).join(", ")}: ${place.cloud.toUpperCase()} ${place.region}`}</title>
            </g>
          ))}
        </g>
      </svg>
      <figcaption>
        <span class="key in">a region that is quoted{allowed && ", inside the boundary"}</span>
        {allowed && <span class="key out">outside it</span>}
        <span class="key aws">AWS</span>
        <span class="key azure">Azure</span>
        <span class="key gcp">GCP</span>
      </figcaption>
    </figure>
  );
}
