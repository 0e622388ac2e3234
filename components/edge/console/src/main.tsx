/** The console's first page: sign-in, then what runs where, at what price, and what was saved. */
import { useSignal } from "@preact/signals";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { dollars, hourly, percent, savedSoFar } from "./figures";
import { fault, follow, ledger, session, signOut, updatedAt, workloads } from "./live";
import { Session } from "./session";
import { Migrations, Prices, Workloads } from "./tables";

function SignIn() {
  const refusal = useSignal("");
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get("key");
    busy.value = true;
    try {
      session.value = await Session.open(String(key ?? "").trim());
    } catch (error) {
      refusal.value = (error as Error).message;
    } finally {
      busy.value = false;
    }
  };
  return (
    <div class="sign-in">
      <form class="panel" onSubmit={submit}>
        <img src="/icon.svg" alt="" />
        <h1>Sign in to Spotlane</h1>
        <p>With an API key of the platform or of your tenant.</p>
        <label>
          API key
          <input name="key" type="password" autocomplete="current-password" required aria-describedby="refusal" />
        </label>
        <p class="fault" id="refusal" role="alert">
          {refusal.value}
        </p>
        <button class="button main" type="submit" disabled={busy.value}>
          {busy.value ? "Signing in" : "Sign in"}
        </button>
      </form>
    </div>
  );
}

function Figures() {
  const placed = (workloads.value ?? []).flatMap(({ placement }) => (placement ? [placement.quote] : []));
  const known = placed.every(({ spotUsdPerHour, onDemandUsdPerHour }) => spotUsdPerHour !== null && onDemandUsdPerHour !== null);
  const sum = (field: "spotUsdPerHour" | "onDemandUsdPerHour") => (known && workloads.value ? placed.reduce((total, quote) => total + (quote[field] ?? 0), 0) : null);
  const paying = sum("spotUsdPerHour");
  const onDemand = sum("onDemandUsdPerHour");
  const saved = savedSoFar(ledger.value);
  const running = (workloads.value ?? []).filter(({ state }) => state === "RUNNING" || state === "MIGRATING").length;
  return (
    <dl class="figures" aria-label="Totals">
      <div class="figure">
        <dt>Serving</dt>
        <dd>{workloads.value ? running : "–"}</dd>
        <small>of {workloads.value?.length ?? "–"} workloads</small>
      </div>
      <div class="figure">
        <dt>Paying per hour</dt>
        <dd>{hourly(paying)}</dd>
        <small>on demand {hourly(onDemand)}</small>
      </div>
      <div class="figure">
        <dt>Below on demand now</dt>
        <dd>{percent(paying !== null && onDemand ? 1 - paying / onDemand : null)}</dd>
      </div>
      <div class="figure saved">
        <dt>Saved so far</dt>
        <dd>{dollars(saved?.onDemand)}</dd>
        <small>against on demand; {dollars(saved?.stayed)} against staying</small>
      </div>
    </dl>
  );
}

function toggleTheme(): void {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("spotlane.theme", root.dataset.theme);
}

function Board({ current }: { current: Session }) {
  useEffect(() => follow(current), [current]);
  return (
    <>
      <header class="bar">
        <img src="/icon.svg" alt="" />
        <h1>Spotlane</h1>
        <span class="spacer" />
        <span class="live" role="status">
          <span class={`state ${fault.value ? "warn" : "good"}`}>
            <span class="dot" aria-hidden="true" />
          </span>
          {fault.value ? "not updating" : updatedAt.value ? "live" : "loading"}
        </span>
        <button class="button" type="button" onClick={toggleTheme} aria-label="Switch between light and dark">
          Theme
        </button>
        <button class="button" type="button" onClick={signOut}>
          Sign out
        </button>
      </header>
      <main>
        {fault.value && (
          <p class="banner" role="alert">
            {fault.value} What is shown is of {updatedAt.value?.toLocaleTimeString() ?? "no time yet"}.
          </p>
        )}
        <Figures />
        <Workloads />
        <Migrations />
        <Prices />
      </main>
    </>
  );
}

function App() {
  return session.value ? <Board current={session.value} /> : <SignIn />;
}

const theme = localStorage.getItem("spotlane.theme");
if (theme) document.documentElement.dataset.theme = theme;
session.value = await Session.resume();
render(<App />, document.getElementById("app") as HTMLElement);
