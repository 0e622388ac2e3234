/** The console: sign-in, then the pages behind one bar. */
import { useSignal } from "@preact/signals";
import { Component, type ComponentChildren, render } from "preact";
import { useEffect } from "preact/hooks";
import { farewell, fault, follow, session, signOut, streaming, updatedAt } from "./live";
import { Audit } from "./pages/audit";
import { Boundaries } from "./pages/boundaries";
import { Moves } from "./pages/moves";
import { Overview, Workloads } from "./pages/overview";
import { Prices } from "./pages/prices";
import { Tenants } from "./pages/tenants";
import { WorkloadPage } from "./pages/workload";
import { Empty, Panel } from "./parts";
import { follows, path } from "./router";
import { Session } from "./session";

const PAGES: [address: string, name: string, page: () => ComponentChildren][] = [
  ["/", "Overview", () => <Overview />],
  ["/workloads", "Workloads", () => <Workloads />],
  ["/moves", "Moves", () => <Moves />],
  ["/prices", "Prices", () => <Prices />],
  ["/boundaries", "Boundaries", () => <Boundaries />],
  ["/audit", "Audit", () => <Audit />],
  ["/tenants", "Tenants", () => <Tenants />],
];

function SignIn() {
  const refusal = useSignal(farewell.value);
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
    <main class="sign-in">
      <form class="panel" onSubmit={submit}>
        <img src="/icon.svg" alt="" />
        <h1>Sign in to Spotlane</h1>
        <p>With an API key of the platform or of your tenant. Only this tab keeps it.</p>
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
    </main>
  );
}

/** A page that can't be shown says so; the others go on. */
class Guard extends Component<{ children: ComponentChildren }, { error: Error | null }> {
  override state = { error: null as Error | null };

  override componentDidCatch(error: Error): void {
    this.setState({ error });
  }

  render() {
    if (!this.state.error) return this.props.children;
    return (
      <Panel title="This page can't be shown">
        <Empty>
          The API answered something that this console doesn't know: it may be newer than the page. Reload it.{" "}
          <button class="button" type="button" onClick={() => location.reload()}>
            Reload
          </button>
        </Empty>
      </Panel>
    );
  }
}

function toggleTheme(): void {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = dark === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("spotlane.theme", next);
}

function page(address: string): ComponentChildren {
  const workload = /^\/workloads\/([^/]+)$/.exec(address)?.[1];
  if (workload) return <WorkloadPage key={workload} id={decodeURIComponent(workload)} />;
  const found = PAGES.find(([one]) => one === address);
  if (found) return found[2]();
  return (
    <Panel title="No such page">
      <Empty>
        There is nothing at <code>{address}</code>. Go to the <a href="/">overview</a>.
      </Empty>
    </Panel>
  );
}

function Frame({ current }: { current: Session }) {
  useEffect(() => follow(current), [current]);
  const here = path.value;
  const name = PAGES.find(([address]) => address === here)?.[1] ?? here.split("/").at(-1);
  useEffect(() => {
    document.title = `${name} · Spotlane`;
  }, [name]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: clicks are those of the links inside, which the keyboard reaches by themselves
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter on a link is a click
    <div onClick={follows}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="/">
          <img src="/icon.svg" alt="" />
          Spotlane
        </a>
        <nav aria-label="Pages">
          {PAGES.map(([address, title]) => (
            <a key={address} href={address} aria-current={address === here || (address === "/workloads" && here.startsWith("/workloads/")) ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <span class="live" role="status">
          <span class={`state ${fault.value ? "warn" : streaming.value ? "good" : "quiet"}`}>
            <span class="dot" aria-hidden="true" />
          </span>
          {fault.value ? "not updating" : streaming.value ? "live" : updatedAt.value ? "every 2 s" : "loading"}
        </span>
        <button class="button" type="button" onClick={toggleTheme} title="Switch between light and dark">
          Theme
        </button>
        <button class="button" type="button" onClick={() => signOut()}>
          Sign out
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        {fault.value && (
          <p class="banner" role="alert">
            {fault.value} What is shown is of {updatedAt.value?.toLocaleTimeString() ?? "no time yet"}.
          </p>
        )}
        {!here.startsWith("/workloads/") && (
          <h1 class="sr-only" tabIndex={-1}>
            {name || "Spotlane"}
          </h1>
        )}
        <Guard key={here}>{page(here)}</Guard>
      </main>
    </div>
  );
}

function App() {
  return session.value ? <Frame current={session.value} /> : <SignIn />;
}

const theme = localStorage.getItem("spotlane.theme");
if (theme) document.documentElement.dataset.theme = theme;
try {
  session.value = await Session.resume();
} catch (error) {
  farewell.value = (error as Error).message;
}
render(<App />, document.getElementById("app") as HTMLElement);
