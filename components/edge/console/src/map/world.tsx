/** The world with the clouds' regions on it: where workloads stand, what each region asks, and which a boundary lets in. One stop of Tab; arrows lead from region to region. */
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import land, { measures } from "virtual:land";
import type { PriceBook, Workload } from "../../../workers/shared/wire";
import { go } from "../router";
import { eastward, next, type Point, pointsOf, said } from "./points";

const { WIDTH, HEIGHT, NORTH, SOUTH } = measures;

export const across = (longitude: number): number => ((longitude + 180) / 360) * WIDTH;
export const down = (latitude: number): number => ((NORTH - latitude) / (NORTH - SOUTH)) * HEIGHT;

/** To what runs there. */
function opened({ workloads: [first, ...more] }: Point): void {
  if (first) go(more.length > 0 ? "/workloads" : `/workloads/${first.id}`);
}

function Mark({ workloads: here, inside }: Point) {
  if (here.length === 0) return <circle class={`region ${inside ? "in" : "out"}`} r="3" />;
  return (
    <>
      <circle class="halo" r={9 + 2 * Math.min(here.length, 5)} />
      <circle class="core" r="6" />
      {here.length > 1 && <text y="3.5">{here.length}</text>}
    </>
  );
}

/** `allowed`: regions by cloud that a boundary lets in; null draws none as refused. */
export function World({ workloads, book, allowed }: { workloads: Workload[]; book: PriceBook | null; allowed: Record<string, string[]> | null }) {
  const id = useId();
  const at = useSignal<string | null>(null);
  const points = pointsOf(workloads, book, allowed);
  const chosen = points.find(({ key }) => key === at.value) ?? null;
  const standing = points.filter(({ workloads: here }) => here.length > 0);
  const described = standing.map(({ place, workloads: here }) => `${here.map(({ id: one }) => one).join(", ")} in ${place.cloud.toUpperCase()} ${place.region}`).join("; ");

  function pressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" && chosen) opened(chosen);
    else {
      const to = next(points, at.value, event.key);
      if (!to) return;
      at.value = to.key;
    }
    event.preventDefault();
  }

  function clicked(event: MouseEvent): void {
    const key = (event.target as Element).closest("[data-key]")?.getAttribute("data-key");
    const point = points.find((one) => one.key === key);
    if (!point) return;
    at.value = point.key;
    opened(point);
  }

  return (
    <figure class="world">
      <div
        class="stage"
        role="listbox"
        aria-label={`World map. ${described || "No workload stands anywhere yet."}`}
        aria-activedescendant={chosen ? `${id}-${chosen.key}` : undefined}
        tabIndex={0}
        onFocus={() => {
          if (!chosen) at.value = next(points, null, "Home")?.key ?? null;
        }}
        onKeyDown={pressed}
        onClick={clicked}
      >
        {/* What is drawn, in words: the drawing says nothing to a reader of the screen. */}
        {eastward(points).map((point) => (
          <span key={point.key} id={`${id}-${point.key}`} class="sr-only" role="option" tabIndex={-1} aria-selected={point === chosen}>
            {said(point)}
          </span>
        ))}
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
          <g class="land">
            {land.map(([name, path]) => (
              <path key={name} d={path} />
            ))}
          </g>
          {points.map((point) => (
            <g
              key={point.key}
              data-key={point.key}
              class={point.workloads.length > 0 ? `site ${point.place.cloud}` : undefined}
              transform={`translate(${across(point.place.longitude)} ${down(point.place.latitude)})`}
            >
              <title>{said(point)}</title>
              <Mark {...point} />
            </g>
          ))}
          {chosen && <circle class="ring" cx={across(chosen.place.longitude)} cy={down(chosen.place.latitude)} r={chosen.workloads.length > 0 ? 14 : 8} />}
        </svg>
      </div>
      <figcaption>
        <span class="key in">a region that is quoted{allowed && ", inside the boundary"}</span>
        {allowed && <span class="key out">outside it</span>}
        <span class="key aws">AWS</span>
        <span class="key azure">Azure</span>
        <span class="key gcp">GCP</span>
        {/* A reader of the screen hears the same of the map. */}
        <span class="chosen" aria-hidden="true">
          {chosen && said(chosen)}
        </span>
      </figcaption>
    </figure>
  );
}
