/** The three tables: workloads, migrations, prices. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Migration, OfferRef, Workload } from "../../workers/shared/wire";
import { ago, DASH, dollars, hourly, percent, savedNow, zoneOf } from "./figures";
import { book, migrations, workloads } from "./live";

const TONES: Record<string, string> = {
  RUNNING: "good",
  succeeded: "good",
  PENDING: "busy",
  PROVISIONING: "busy",
  MIGRATING: "busy",
  running: "busy",
  STOPPING: "busy",
  INTERRUPTED: "warn",
  UNHEALTHY: "warn",
  FAILED: "bad",
  ORPHANED: "bad",
  failed: "bad",
};

function State({ of, label }: { of: string; label?: string }) {
  return (
    <span class={`state ${TONES[of] ?? "quiet"}`}>
      <span class="dot" aria-hidden="true" />
      {label ?? of}
    </span>
  );
}

function Place({ offer }: { offer: OfferRef | null | undefined }) {
  if (!offer) return <>{DASH}</>;
  return (
    <>
      <span class="cloud">{offer.cloud.toUpperCase()}</span>
      {zoneOf(offer)}
      <small>{offer.instanceType}</small>
    </>
  );
}

function Panel({ title, note, aside, children }: { title: string; note?: string; aside?: ComponentChildren; children: ComponentChildren }) {
  const id = `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section class="panel" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {note && <p>{note}</p>}
        {aside}
      </header>
      {children}
    </section>
  );
}

function WorkloadRow({ workload }: { workload: Workload }) {
  const quote = workload.placement?.quote;
  return (
    <tr>
      <td>
        <span class="name">{workload.name}</span>
        <small>{workload.tenant}</small>
      </td>
      <td>
        <State of={workload.state} />
        <small>{workload.reason}</small>
      </td>
      <td>
        <Place offer={workload.placement?.offer} />
      </td>
      <td class="number">
        {hourly(quote?.spotUsdPerHour)}
        <small>on demand {hourly(quote?.onDemandUsdPerHour)}</small>
      </td>
      <td class="number">{percent(savedNow(workload))}</td>
      <td class="number">{workload.generation}</td>
    </tr>
  );
}

export function Workloads() {
  const rows = workloads.value;
  return (
    <Panel title="Workloads" note={rows ? `${rows.length} in all` : "loading"}>
      {rows?.length === 0 && (
        <p class="empty">
          Nothing runs yet. Declare a service with <code>spotlane workload apply FILE</code>.
        </p>
      )}
      {rows && rows.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Workload</th>
                <th scope="col">State</th>
                <th scope="col">Runs in</th>
                <th scope="col" class="number">
                  Price per hour
                </th>
                <th scope="col" class="number">
                  Below on demand
                </th>
                <th scope="col" class="number">
                  Generation
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((workload) => (
                <WorkloadRow key={workload.id} workload={workload} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function MigrationRow({ migration, now }: { migration: Migration; now: number }) {
  const { evidence, offer, reason } = migration.decision;
  return (
    <tr>
      <td>
        <span class="name">{migration.workload}</span>
        <small>{ago(migration.startedAt, now)}</small>
      </td>
      <td>
        <State of={migration.status} label={migration.status === "running" ? migration.step : migration.status} />
        <small>{migration.error ?? migration.kind}</small>
      </td>
      <td>
        <Place offer={evidence?.currentQuote?.offer} />
      </td>
      <td>
        <Place offer={offer} />
      </td>
      <td class="number">
        {dollars(evidence?.netSavingUsd)}
        {evidence && (
          <small>
            over {Math.round(evidence.horizonHours)} h, price {Math.round(evidence.quoteAgeSeconds)} s old
          </small>
        )}
      </td>
      <td>{reason}</td>
    </tr>
  );
}

export function Migrations() {
  const rows = migrations.value;
  const recent = rows && [...rows].sort((one, other) => Date.parse(other.startedAt) - Date.parse(one.startedAt)).slice(0, 20);
  const now = Date.now();
  return (
    <Panel title="Recent migrations" note={rows ? `${rows.filter(({ status }) => status === "running").length} under way` : "loading"}>
      {recent?.length === 0 && <p class="empty">No migration yet.</p>}
      {recent && recent.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Workload</th>
                <th scope="col">Step</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col" class="number">
                  Net saving expected
                </th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {recent.map((migration) => (
                <MigrationRow key={migration.id} migration={migration} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

const SHOWN_PRICES = 25;

export function Prices() {
  const cloud = useSignal("all");
  const quotes = book.value?.quotes ?? [];
  const wanted = quotes
    .filter(({ offer, spotUsdPerHour }) => spotUsdPerHour !== null && (cloud.value === "all" || offer.cloud === cloud.value))
    .sort((one, other) => (one.spotUsdPerHour ?? 0) - (other.spotUsdPerHour ?? 0));
  const choice = (
    <select aria-label="Cloud" value={cloud.value} onChange={(event) => (cloud.value = event.currentTarget.value)}>
      <option value="all">All clouds</option>
      <option value="aws">AWS</option>
      <option value="azure">Azure</option>
      <option value="gcp">GCP</option>
    </select>
  );
  const marketNow = book.value ? Date.parse(book.value.marketNow) : 0;
  return (
    <Panel title="Prices now" note={book.value ? `${wanted.length} offers, cheapest first; market time ${book.value.marketNow.slice(0, 16).replace("T", " ")} UTC` : "loading"} aside={choice}>
      {book.value && wanted.length === 0 && <p class="empty">The feeds have brought no price yet.</p>}
      {wanted.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Offer</th>
                <th scope="col" class="number">
                  Spot per hour
                </th>
                <th scope="col" class="number">
                  On demand
                </th>
                <th scope="col" class="number">
                  Confirmed
                </th>
              </tr>
            </thead>
            <tbody>
              {wanted.slice(0, SHOWN_PRICES).map(({ offer, spotUsdPerHour, onDemandUsdPerHour, observedAt, source }) => (
                <tr key={`${offer.cloud}/${offer.region}/${offer.zone}/${offer.instanceType}`}>
                  <td>
                    <Place offer={offer} />
                  </td>
                  <td class="number">{hourly(spotUsdPerHour)}</td>
                  <td class="number">{hourly(onDemandUsdPerHour)}</td>
                  <td class="number">
                    {ago(observedAt, marketNow)}
                    <small>{source}</small>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
