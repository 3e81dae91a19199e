// Small parts that pages are made of.
import type { ComponentChildren } from 'preact';
import { useSignal } from '@preact/signals';
import { Problem } from '../lib/api';

export function PageHead(p: { title: ComponentChildren; note?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <header class="pagehead">
      <div>
        <h1>{p.title}</h1>
        {p.note !== undefined && <p class="note">{p.note}</p>}
      </div>
      {p.children !== undefined && <div class="actions">{p.children}</div>}
    </header>
  );
}

export function Section(p: { title: string; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <section class="section" id={p.id}>
      <div class="sectionhead">
        <h2>{p.title}</h2>
        {p.note !== undefined && <span class="note">{p.note}</span>}
        {p.actions !== undefined && <div class="actions">{p.actions}</div>}
      </div>
      {p.children}
    </section>
  );
}

/** What stands where there is nothing yet: what is so, and what to do next. */
export function Empty(p: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="emptytitle">{p.title}</p>
      {p.children !== undefined && <div class="note">{p.children}</div>}
    </div>
  );
}

export function Failure(p: { error: unknown; retry?: () => void }) {
  const problem = p.error instanceof Problem ? p.error : new Problem(-1, String(p.error));
  return (
    <div class="failure" role="alert">
      <p><strong>{problem.message}</strong>{problem.code !== '' && <span class="code">{problem.code}</span>}</p>
      {problem.hint !== '' && <p class="note">{problem.hint}</p>}
      {p.retry !== undefined && <button type="button" onClick={p.retry}>Try again</button>}
    </div>
  );
}

export function Loading(p: { what: string }) {
  return <p class="loading" role="status">Reading {p.what} …</p>;
}

const moods: Record<string, string> = {
  running: 'good', healthy: 'good', starting: 'busy', retrying: 'warn', stopping: 'warn', stopped: 'bad', failed: 'bad', unreachable: 'bad',
};

export function State(p: { state: string }) {
  return <span class={'state ' + (moods[p.state] ?? 'busy')}><i aria-hidden="true" />{p.state}</span>;
}

export function Figure(p: { label: string; value: ComponentChildren; note?: ComponentChildren; mood?: string | false; href?: string }) {
  return (
    <div class={'figure' + (p.mood ? ' ' + p.mood : '')}>
      <dt>{p.href ? <a href={p.href}>{p.label}</a> : p.label}</dt>
      <dd>{p.value}{p.note !== undefined && <small>{p.note}</small>}</dd>
    </div>
  );
}

/** A button that copies text, and says that it has. */
export function Copy(p: { text: () => string; label: string }) {
  const done = useSignal(false);
  async function copy() {
    await navigator.clipboard.writeText(p.text());
    done.value = true;
    setTimeout(() => { done.value = false; }, 1500);
  }
  return <button type="button" class="quiet" onClick={() => void copy()}><span aria-live="polite">{done.value ? 'Copied' : p.label}</span></button>;
}

export function Tabs(p: { label: string; of: [string, string][]; at: string; pick: (id: string) => void }) {
  return (
    <div class="tabs" role="group" aria-label={p.label}>
      {p.of.map(([id, label]) => (
        <button type="button" key={id} aria-pressed={p.at === id} onClick={() => p.pick(id)}>{label}</button>
      ))}
    </div>
  );
}
