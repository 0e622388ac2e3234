/** The price book: every offer with the price that is in force. */
import { useSignal } from "@preact/signals";
import type { Quote } from "../../../workers/shared/wire";
import { ago, hourly, minute } from "../figures";
import { book } from "../live";
import { type Column, Empty, Panel, Place, Table } from "../parts";

const SHOWN = 100;

export function Prices() {
  const cloud = useSignal("all");
  const text = useSignal("");
  const marketNow = book.value ? Date.parse(book.value.marketNow) : 0;
  const wanted = (book.value?.quotes ?? [])
    .filter(({ offer, spotUsdPerHour }) => spotUsdPerHour !== null && (cloud.value === "all" || offer.cloud === cloud.value))
    .filter(({ offer }) => `${offer.region} ${offer.zone} ${offer.instanceType}`.toLowerCase().includes(text.value.trim().toLowerCase()))
    .sort((one, other) => (one.spotUsdPerHour ?? 0) - (other.spotUsdPerHour ?? 0));
  const columns: Column<Quote>[] = [
    { title: "Offer", cell: ({ offer }) => <Place offer={offer} /> },
    { title: "Spot per hour", number: true, cell: ({ spotUsdPerHour }) => hourly(spotUsdPerHour) },
    { title: "On demand", number: true, cell: ({ onDemandUsdPerHour }) => hourly(onDemandUsdPerHour) },
    {
      title: "Confirmed",
      number: true,
      cell: ({ observedAt, source }) => (
        <>
          {ago(observedAt, marketNow)}
          <small>{source}</small>
        </>
      ),
    },
  ];
  const choice = (
    <span class="choices">
      <input type="search" aria-label="Region or machine type" placeholder="Region or type" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
      <select aria-label="Cloud" value={cloud.value} onChange={(event) => (cloud.value = event.currentTarget.value)}>
        <option value="all">All clouds</option>
        <option value="aws">AWS</option>
        <option value="azure">Azure</option>
        <option value="gcp">GCP</option>
      </select>
    </span>
  );
  const note = book.value ? `${wanted.length} offers, cheapest first; market time ${minute(book.value.marketNow)} UTC` : "loading";
  return (
    <Panel title="Prices now" note={note} aside={choice}>
      {book.value && wanted.length === 0 && (
        <Empty>{text.value ? "No offer has this in its name. Clear the search to see all." : "The feeds have brought no price yet. `spotlane prices feeds` says how each of them does."}</Empty>
      )}
      {wanted.length > 0 && <Table label="Prices" rows={wanted.slice(0, SHOWN)} columns={columns} keyOf={({ offer }) => `${offer.cloud}/${offer.region}/${offer.zone}/${offer.instanceType}`} />}
    </Panel>
  );
}
