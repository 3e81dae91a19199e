// Pages have addresses: a click on a link within the dashboard changes the
// address without loading anything.
import { signal } from '@preact/signals';

export const path = signal(location.pathname);
export const query = signal(location.search);

function moved(): void {
  path.value = location.pathname;
  query.value = location.search;
}

export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  moved();
  if (!replace) {
    scrollTo(0, 0);
    // Those who can't see that the page is another one are told.
    document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
  }
}

/** The second part of an address: the name of a table or topic. */
export function nameIn(p: string): string {
  const part = p.split('/')[2];
  return part === undefined ? '' : decodeURIComponent(part);
}

const own = /^\/(tables|topics|quarantine|late|query)?(\/[^/]+)?$/;

export function watchLinks(): void {
  addEventListener('popstate', moved);
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const link = (e.target as Element).closest('a');
    if (link === null || link.target !== '' || link.origin !== location.origin || !own.test(link.pathname)) return;
    e.preventDefault();
    go(link.pathname + link.search);
  });
}
