/** What one page asks for itself: at once, and again with every round of what all pages share. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { round, session } from "./live";
import type { ApiFault } from "./session";

export interface Asked<T> {
  /** Null until it came. */
  value: T | null;
  fault: ApiFault | null;
}

/** The document at `/v1<path>`; null asks for nothing, another `turn` asks at once. */
export function useAsked<T>(path: string | null, turn = 0): Signal<Asked<T>> {
  const asked = useSignal<Asked<T>>({ value: null, fault: null });
  const shown = useSignal(path);
  if (shown.value !== path) {
    shown.value = path;
    asked.value = { value: null, fault: null };
  }
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
  }, [path, turn, round.value]);
  return asked;
}
