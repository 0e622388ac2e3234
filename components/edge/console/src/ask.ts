/** What one page asks for itself: at once, and again when what it is about has changed. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { news, round, seen, session } from "./live";
import { poll } from "./poll";
import type { ApiFault } from "./session";
import { type About, concerns } from "./stream";

export interface Asked<T> {
  /** Null until it came. */
  value: T | null;
  fault: ApiFault | null;
}

/** The document at `/v1<path>`; null asks for nothing, another `turn` asks at once. */
export function useAsked<T>(path: string | null, about: About, turn = 0): Signal<Asked<T>> {
  const asked = useSignal<Asked<T>>({ value: null, fault: null });
  const shown = useSignal(path);
  const outdated = useSignal(0);
  if (shown.value !== path) {
    shown.value = path;
    asked.value = { value: null, fault: null };
  }
  useEffect(() => {
    if (concerns(about, news.value)) outdated.value += 1;
  }, [news.value]);
  useEffect(() => {
    let gone = false;
    if (path && session.value)
      session.value
        .get<T>(path)
        .then((value) => {
          if (!gone) asked.value = { value, fault: null };
        })
        .catch((fault: ApiFault) => {
          if (!gone) asked.value = { ...asked.value, fault };
        });
    return () => {
      gone = true;
    };
  }, [path, turn, outdated.value, Math.floor(round.value / (about.every ?? 1))]);
  return asked;
}

/**
 * Asks for the document at `path()` again and again, while the page is visible: for what grows, and no change is told of. `take` gets each answer and says after
 * how many ms it is asked again, null for never more. Another `key` begins anew, null asks for nothing. The signal is why the last question was refused.
 */
export function usePolled<T>(key: string | null, path: () => string, take: (value: T) => number | null): Signal<ApiFault | null> {
  const fault = useSignal<ApiFault | null>(null);
  useEffect(() => {
    const current = session.value;
    if (key === null || !current) return;
    fault.value = null;
    const stop = new AbortController();
    const told = (refusal: ApiFault | null) => {
      fault.value = refusal;
    };
    void poll<T>({ path, get: (at) => current.get<T>(at), take, told, wait: (ms) => looked(ms, stop.signal), stopped: stop.signal });
    return () => stop.abort();
  }, [key]);
  return fault;
}

/** Until `ms` are over and the page is in view, or `stopped`. */
async function looked(ms: number, stopped: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const over = () => {
      clearTimeout(timer);
      stopped.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    stopped.addEventListener("abort", over);
  });
  if (document.hidden && !stopped.aborted) await seen(stopped);
}
