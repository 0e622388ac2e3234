/** Tenants, what they spent this month, and their API keys. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { ApiKey, KeyInfo, Tenant } from "../../../workers/shared/wire";
import { useAsked } from "../ask";
import { ago, dollars, minute } from "../figures";
import { clock, type Items, months, session, tenants } from "../live";
import { type Column, Empty, Panel, Table } from "../parts";

function Keys({ tenant }: { tenant: Tenant }) {
  const made = useSignal<ApiKey | null>(null);
  const refusal = useSignal("");
  const turn = useSignal(0);
  // Where the focus goes when the button that had it is gone.
  const heading = useRef<HTMLHeadingElement>(null);
  const asked = useAsked<Items<KeyInfo>>(`/tenants/${tenant.id}/keys?limit=100`, { kinds: ["key"] }, turn.value);
  const attempt = async (work: () => Promise<unknown>) => {
    refusal.value = "";
    try {
      await work();
      turn.value += 1;
    } catch (error) {
      refusal.value = (error as Error).message;
    }
  };
  const make = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    void attempt(async () => {
      made.value = (await session.value?.post<ApiKey>(`/tenants/${tenant.id}/keys`, { name: String(data.get("name")), scopes: [String(data.get("scope"))] })) ?? null;
      form.reset();
    });
  };
  const revoke = (key: KeyInfo) => {
    if (confirm(`Revoke the key "${key.name || key.id}"? Whoever uses it is refused at once.`)) {
      heading.current?.focus();
      void attempt(async () => session.value?.delete(`/tenants/${tenant.id}/keys/${key.id}`));
    }
  };
  const done = () => {
    made.value = null;
    heading.current?.focus();
  };
  const columns: Column<KeyInfo>[] = [
    {
      title: "Key",
      cell: ({ id, name }) => (
        <>
          <span class="name">{name || "unnamed"}</span>
          <small>{id}</small>
        </>
      ),
    },
    { title: "May", cell: ({ scopes }) => scopes.join(", ") },
    { title: "Made", cell: ({ createdAt, createdBy }) => `${minute(createdAt)} by ${createdBy}` },
    { title: "Last used", cell: ({ lastUsedAt }) => (lastUsedAt ? ago(lastUsedAt, clock.value) : "never") },
    {
      title: "",
      cell: (key) => (
        <button class="button" type="button" onClick={() => revoke(key)} aria-label={`Revoke ${key.name || key.id}`}>
          Revoke
        </button>
      ),
    },
  ];
  const { value, fault } = asked.value;
  return (
    <>
      <h3 ref={heading} tabIndex={-1}>
        Keys
      </h3>
      {fault && <Empty>{fault.status === 403 ? "Keys are shown to the tenant's administrators." : fault.message}</Empty>}
      {value?.items.length === 0 && <Empty>No key yet.</Empty>}
      {value && value.items.length > 0 && <Table label={`Keys of ${tenant.id}`} rows={value.items} columns={columns} keyOf={({ id }) => id} />}
      {value && (
        <form class="inline" onSubmit={make}>
          <label>
            Name of a new key
            <input name="name" required maxLength={100} placeholder="ci" />
          </label>
          <label>
            It may
            <select name="scope">
              <option value="tenant:read">read</option>
              <option value="tenant:deploy">deploy</option>
              <option value="tenant:admin">administer</option>
            </select>
          </label>
          <button class="button main" type="submit">
            Make the key
          </button>
        </form>
      )}
      <p class="fault padded" role="alert">
        {refusal.value}
      </p>
      {made.value && (
        <output class="secret">
          <strong>Copy it now; it isn't shown again.</strong>
          <code>{made.value.key}</code>
          <button class="button" type="button" onClick={() => navigator.clipboard.writeText(made.value?.key ?? "")}>
            Copy
          </button>
          <button class="button" type="button" onClick={done}>
            Done
          </button>
        </output>
      )}
    </>
  );
}

function One({ tenant }: { tenant: Tenant }) {
  const newest = (months.value ?? [])
    .map(({ month }) => month)
    .sort()
    .at(-1);
  const own = (months.value ?? []).filter((one) => one.tenant === tenant.id && one.month === newest);
  const sum = (field: "paidUsd" | "savedUsd") => (own.length === 0 ? null : own.reduce((total, one) => total + Number(one[field]), 0));
  const cap = (tenant.boundary.spend as { usdPerMonth?: number } | undefined)?.usdPerMonth ?? tenant.budgetUsdPerMonth;
  return (
    <Panel title={tenant.displayName || tenant.id} note={tenant.clouds.map((cloud) => cloud.toUpperCase()).join(", ")}>
      <dl class="pairs">
        <div>
          <dt>Paid in {newest?.slice(0, 7) ?? "this month"}</dt>
          <dd>
            {dollars(sum("paidUsd"))}
            {cap != null && ` of ${dollars(cap)} a month`}
          </dd>
        </div>
        <div>
          <dt>Saved against on demand</dt>
          <dd>{dollars(sum("savedUsd"))}</dd>
        </div>
      </dl>
      <Keys tenant={tenant} />
    </Panel>
  );
}

export function Tenants() {
  const rows = tenants.value;
  return (
    <>
      {rows === null && <Empty>Loading.</Empty>}
      {rows?.length === 0 && (
        <Empty>
          There is no tenant yet. Make one with <code>spotlane tenant apply</code>.
        </Empty>
      )}
      {rows?.map((tenant) => (
        <One key={tenant.id} tenant={tenant} />
      ))}
    </>
  );
}
