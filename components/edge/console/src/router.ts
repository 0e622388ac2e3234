/** The page's address as a signal: pages are paths, the browser's own history goes back and forth between them. */
import { signal } from "@preact/signals";

export const path = signal(location.pathname);
addEventListener("popstate", () => {
  path.value = location.pathname;
});

/** Goes to `to`; the new page begins at its top, with the focus on its heading, unless it has gone elsewhere by then. */
export function go(to: string): void {
  if (to === location.pathname) return;
  const from = document.activeElement;
  history.pushState(null, "", to);
  path.value = to;
  scrollTo(0, 0);
  requestAnimationFrame(() => {
    const at = document.activeElement;
    if (at === from || at === document.body) document.querySelector<HTMLElement>("main h1, main h2")?.focus({ preventScroll: true });
  });
}

/** A click on a link of ours stays in the page; with a modifier, or on another button, it is the browser's. */
export function follows(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.hasAttribute("download") || link.target || link.hash) return;
  event.preventDefault();
  go(link.pathname);
}
