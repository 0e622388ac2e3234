/** What a workload costs over time: what was paid, what on-demand and what staying would have cost, and where it stood. */
import type { LedgerHour } from "../../workers/shared/wire";
import { hourly, minute, offerName } from "./figures";

const WIDTH = 900;
const HEIGHT = 240;
const LEFT = 64;
const BOTTOM = 38;
const TOP = 12;

export interface Line {
  name: "paid" | "on demand" | "staying";
  /** `[hour, USD per hour]`; null where it isn't known. */
  points: [number, number | null][];
}

/** USD per hour of each hour in the ledger, oldest first. */
export function lines(hours: LedgerHour[]): Line[] {
  const oldest = [...hours].sort((one, other) => Date.parse(one.hour) - Date.parse(other.hour));
  const rate = (of: (hour: LedgerHour) => number | string | null) =>
    oldest.map((hour): [number, number | null] => {
      const amount = of(hour);
      return [Date.parse(hour.hour), amount === null || hour.seconds === 0 ? null : (Number(amount) / hour.seconds) * 3600];
    });
  return [
    { name: "on demand", points: rate(({ onDemandUsd }) => onDemandUsd) },
    { name: "staying", points: rate(({ stayedUsd }) => stayedUsd) },
    { name: "paid", points: rate(({ paidUsd }) => paidUsd) },
  ];
}

/** Spans of time in one region, oldest first. */
export function stays(hours: LedgerHour[]): { cloud: string; name: string; from: number; until: number }[] {
  const found: { cloud: string; name: string; from: number; until: number }[] = [];
  for (const hour of [...hours].sort((one, other) => Date.parse(one.hour) - Date.parse(other.hour))) {
    const from = Date.parse(hour.hour);
    const last = found.at(-1);
    const name = offerName(hour.quote.offer);
    if (last?.name === name) last.until = from + 3_600_000;
    else found.push({ cloud: hour.quote.offer.cloud, name, from, until: from + 3_600_000 });
  }
  return found;
}

export function Chart({ hours }: { hours: LedgerHour[] }) {
  const drawn = lines(hours);
  const times = drawn.flatMap(({ points }) => points.map(([at]) => at));
  const rates = drawn.flatMap(({ points }) => points.flatMap(([, value]) => (value === null ? [] : [value])));
  const from = Math.min(...times);
  const until = Math.max(...times) + 3_600_000;
  const most = Math.max(...rates, 0) * 1.08 || 1;
  const x = (at: number) => LEFT + ((at - from) / (until - from)) * (WIDTH - LEFT - 8);
  const y = (rate: number) => HEIGHT - BOTTOM - (rate / most) * (HEIGHT - BOTTOM - TOP);
  const path = (points: Line["points"]) => {
    let pen = false;
    return points
      .map(([at, rate]) => {
        if (rate === null) {
          pen = false;
          return "";
        }
        const step = `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(rate).toFixed(1)}H${x(at + 3_600_000).toFixed(1)}`;
        pen = true;
        return step;
      })
      .join("");
  };
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * most);
  const told = drawn.map(({ name, points }) => `${name} ${hourly(points.findLast(([, rate]) => rate !== null)?.[1])} in the last hour`).join(", ");
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Cost per hour from ${minute(new Date(from).toISOString())} to ${minute(new Date(until).toISOString())} UTC: ${told}.`}>
        {ticks.map((rate) => (
          <g key={rate} class="tick">
            <line x1={LEFT} x2={WIDTH - 8} y1={y(rate)} y2={y(rate)} />
            <text x={LEFT - 8} y={y(rate) + 4} text-anchor="end">
              {hourly(rate)}
            </text>
          </g>
        ))}
        {stays(hours).map((stay) => (
          <rect key={stay.from} class={`stay ${stay.cloud}`} x={x(stay.from)} width={Math.max(x(stay.until) - x(stay.from), 1)} y={HEIGHT - BOTTOM + 4} height="9" rx="2">
            <title>{`${stay.name}, ${minute(new Date(stay.from).toISOString())} to ${minute(new Date(stay.until).toISOString())} UTC`}</title>
          </rect>
        ))}
        {drawn.map(({ name, points }) => (
          <path key={name} class={`line ${name.replace(" ", "-")}`} d={path(points)} />
        ))}
        <text class="axis" x={LEFT} y={HEIGHT - 8}>
          {minute(new Date(from).toISOString())}
        </text>
        <text class="axis" x={WIDTH - 8} y={HEIGHT - 8} text-anchor="end">
          {minute(new Date(until).toISOString())} UTC
        </text>
      </svg>
      <figcaption>
        <span class="key paid">paid</span>
        <span class="key staying">had it stayed</span>
        <span class="key on-demand">on demand</span>
        <span class="key aws">on AWS</span>
        <span class="key azure">on Azure</span>
        <span class="key gcp">on GCP</span>
      </figcaption>
    </figure>
  );
}
