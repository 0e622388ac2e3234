/** Figures as people read them. An unknown one is a dash, never 0. */
import type { Ledger, OfferRef, Workload } from "../../workers/shared/wire";

export const DASH = "–";

/** USD per hour, four decimals. */
export function hourly(price: number | null | undefined): string {
  return price == null ? DASH : `$${price.toFixed(4)}`;
}

/** USD. */
export function dollars(amount: number | string | null | undefined): string {
  return amount == null ? DASH : new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" }).format(Number(amount));
}

export function percent(share: number | null): string {
  return share === null ? DASH : `${Math.round(share * 100)} %`;
}

/** How long ago `at` was. */
export function ago(at: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

/** `2026-01-31 12:05` UTC. */
export const minute = (at: string): string => at.slice(0, 16).replace("T", " ");

export function zoneOf(offer: OfferRef): string {
  return offer.zone === "-" ? offer.region : offer.zone;
}

export const offerName = (offer: OfferRef): string => `${offer.cloud.toUpperCase()} ${zoneOf(offer)} ${offer.instanceType}`;

/** Share of the on-demand price that a workload saves now, null while either price is unknown. */
export function savedNow(workload: Workload): number | null {
  const quote = workload.placement?.quote;
  if (!quote?.spotUsdPerHour || !quote.onDemandUsdPerHour) return null;
  return 1 - quote.spotUsdPerHour / quote.onDemandUsdPerHour;
}

/** USD saved by the hours in the ledger, against on-demand and against staying. */
export function savedSoFar(ledger: Ledger | null): { onDemand: number; stayed: number } | null {
  if (!ledger) return null;
  return { onDemand: Number(ledger.totals.savedUsd), stayed: Number(ledger.totals.savedStayedUsd) };
}

/** Up to three of `known` that are nearest to `word` by letters in common, for a name that doesn't exist. */
export function nearest(word: string, known: string[]): string[] {
  const pairs = (text: string) => new Set(Array.from({ length: Math.max(text.length - 1, 1) }, (_, at) => text.slice(at, at + 2)));
  const own = pairs(word);
  const likeness = (text: string) => [...pairs(text)].filter((pair) => own.has(pair)).length / Math.max(own.size, pairs(text).size);
  return [...known]
    .map((text) => ({ text, likeness: likeness(text) }))
    .filter((one) => one.likeness >= 0.3)
    .sort((one, other) => other.likeness - one.likeness || one.text.localeCompare(other.text))
    .slice(0, 3)
    .map(({ text }) => text);
}
