// The dashboard: navigation, and the page that the address names.
import { render } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { giveKey, keyWanted } from './lib/api';
import { nameIn, path, watchLinks } from './lib/router';
import { heardAt, state, status, up, watchStatus } from './lib/status';
import { time } from './lib/format';
import { theme, type Theme } from './ui/theme';
import { Failure, State } from './ui/parts';
import { PipelinePage } from './pages/pipeline';
import { LatePage, QuarantinePage } from './pages/ledgers';
import { QueryPage } from './pages/query';
import { TablePage, TablesPage } from './pages/tables';
import { TopicPage, TopicsPage } from './pages/topics';
import './style.css';

const entries: [string, string][] = [['/', 'Pipeline'], ['/tables', 'Tables'], ['/topics', 'Topics'], ['/quarantine', 'Quarantine'], ['/query', 'Query']];

function Page() {
  const p = path.value;
  const [, first] = p.split('/');
  const name = nameIn(p);
  switch (first) {
    case 'tables': return name === '' ? <TablesPage /> : <TablePage key={name} name={name} />;
    case 'topics': return name === '' ? <TopicsPage /> : <TopicPage key={name} name={name} />;
    case 'quarantine': return <QuarantinePage />;
    case 'query': return <QueryPage />;
    case 'late': return <LatePage />;
    default: return <PipelinePage />;
  }
}

function current(at: string, entry: string): boolean {
  if (entry === '/quarantine') return at === '/quarantine' || at === '/late';
  return entry === '/' ? at === '/' : at === entry || at.startsWith(entry + '/');
}

function App() {
  const p = path.value;
  useEffect(() => {
    const entry = entries.find(([to]) => current(p, to));
    document.title = [nameIn(p), entry?.[1], status.value?.name, 'Millstream'].filter(Boolean).join(' · ');
  }, [p, status.value?.name]);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.querySelector<HTMLElement>('main')!.focus(); }}>Skip to the page</a>
      <header class="side">
        <a class="brand" href="/"><img src="/assets/mark.svg" width="22" height="22" alt="" /><span>Millstream</span></a>
        <nav aria-label="Pages">
          <ul>{entries.map(([to, label]) => <li key={to}><a href={to} aria-current={current(p, to) ? 'page' : undefined}>{label}</a></li>)}</ul>
        </nav>
        <div class="sidefoot">
          <State state={state.value} />
          <ThemePicker />
          <a class="quiet" href="/docs" target="_blank">API</a>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {up.value === false && <Unreachable />}
        {keyWanted.value ? <KeyForm /> : <Page />}
      </main>
    </div>
  );
}

function ThemePicker() {
  return (
    <label class="theme"><span class="hidden">Theme</span>
      <select value={theme.value} onChange={(e) => { theme.value = e.currentTarget.value as Theme; }}>
        <option value="auto">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

function Unreachable() {
  return (
    <div class="failure banner" role="alert">
      <p><strong>Millstream does not answer.</strong> {heardAt.value > 0 && <>What you see is from {time(new Date(heardAt.value).toISOString())} UTC. </>}The page goes on by itself when it is back.</p>
      <p class="note">If the process has ended, start it again with the same command: it goes on after its last commit, nothing is lost and nothing counted twice.</p>
    </div>
  );
}

function KeyForm() {
  const text = useSignal('');
  const error = useSignal<unknown>(null);
  async function give(e: Event) {
    e.preventDefault();
    try {
      await giveKey(text.value);
    } catch (err) {
      error.value = err;
    }
  }
  return (
    <form class="keyform" onSubmit={(e) => void give(e)}>
      <h1>This server asks for a key</h1>
      <p class="note">Paste an API key with the scope <code>read</code>. It is exchanged for a cookie of this browser, which ends by itself.</p>
      <label>API key<input type="password" autocomplete="off" value={text.value} onInput={(e) => { text.value = e.currentTarget.value; }} /></label>
      {error.value !== null && <Failure error={error.value} />}
      <button type="submit" class="primary" disabled={text.value.trim() === ''}>Open the dashboard</button>
    </form>
  );
}

// A page that comes back from the browser's memory has lost its streams.
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
watchStatus();
watchLinks();
render(<App />, document.getElementById('app')!);
