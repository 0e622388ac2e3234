/** Figures as people read them. An unknown one is a dash, never 0. */
import type { Ledger, OfferRef, Placement, Run, Workload } from "../../workers/shared/wire";

export const DASH = "–";

/** USD per hour, four decimals. */
export function hourly(price: number | null | undefined): string {
  return price == null ? DASH : `$${price.toFixed(4)}`;
}

/** USD, in cents; what is less than half a cent is told from nothing. */
export function dollars(amount: number | string | null | undefined): string {
  if (amount != null && Number(amount) > 0 && Number(amount) < 0.005) return "under $0.01";
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

/** How long a run took, or has taken so far; a dash before it begins. */
export function lasted({ startedAt, finishedAt }: Pick<Run, "startedAt" | "finishedAt">, now: number): string {
  if (startedAt === null) return DASH;
  const seconds = Math.max(0, Math.round(((finishedAt === null ? now : Date.parse(finishedAt)) - Date.parse(startedAt)) / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** `3 create, 1 update`; what stayed as it was isn't counted. */
export function changesOf(changes: Run["changes"]): string {
  const told = Object.entries(changes).filter(([kind, count]) => kind !== "same" && count > 0);
  return told.length === 0 ? "no change" : told.map(([kind, count]) => `${count} ${kind}`).join(", ");
}

/** `2026-01-31 12:05` UTC. */
export const minute = (at: string): string => at.slice(0, 16).replace("T", " ");

export function zoneOf(offer: OfferRef): string {
  return offer.zone === "-" ? offer.region : offer.zone;
}

export const offerName = (offer: OfferRef): string => `${offer.cloud.toUpperCase()} ${zoneOf(offer)} ${offer.instanceType}`;

/** Every machine of a workload that costs: the first one, the others that serve, the standby. */
export const machinesOf = ({ placement, further }: Workload): Placement[] => [...(placement ? [placement] : []), ...(further ?? [])];

/** What machines cost an hour now and what they would cost on demand, in USD; null while a price of one is unknown, and where there is none. */
export function costsOf(machines: Placement[]): { paying: number | null; onDemand: number | null } {
  const sum = (prices: (number | null)[]) => (prices.length === 0 || prices.includes(null) ? null : prices.reduce<number>((total, price) => total + (price ?? 0), 0));
  const onDemand = machines.map(({ quote }) => quote.onDemandUsdPerHour);
  return { paying: sum(machines.map(({ capacity, quote }) => (capacity === "on-demand" ? quote.onDemandUsdPerHour : quote.spotUsdPerHour))), onDemand: sum(onDemand) };
}

/** Share of the on-demand price that machines save now, null while a price is unknown. */
export function savedNow(machines: Placement[]): number | null {
  const { paying, onDemand } = costsOf(machines);
  return paying === null || !onDemand ? null : 1 - paying / onDemand;
}

/** Where a workload runs beside its first machine: `1 more serves, 1 stands by`. */
export function besides({ further }: Workload): string {
  const standing = (further ?? []).filter(({ state }) => state === "STANDBY").length;
  const serving = (further ?? []).length - standing;
  return [serving && `${serving} more ${serving === 1 ? "serves" : "serve"}`, standing && `${standing} ${standing === 1 ? "stands" : "stand"} by`].filter(Boolean).join(", ");
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
