// What was refused: records in quarantine and late rows, by cause, each with
// its payload.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, type Cause, type LateRow, type Quarantined, type Refused } from '../lib/api';
import { ago, bytes, count, duration, span, time } from '../lib/format';
import { shown } from '../lib/payload';
import { go } from '../lib/router';
import { commitSeq, heardAt, status, up } from '../lib/status';
import { Grid, type GridColumn } from '../ui/grid';
import { Empty, Failure, Loading, PageHead, Section, Tabs } from '../ui/parts';
import { Mend } from '../ui/mend';
import { Payload } from '../ui/payload';

interface Ledger<R> { causes: Cause[]; rows: R[] }

/** How many rows a page has. */
const page = 50;

/** What each cause means, in a sentence. */
const meaning: Record<string, string> = {
  decode: 'The payload is not what the foreign table says.',
  event_time: 'The record has no event time.',
  future: 'The event time lies further in the future than future_limit allows.',
  expression: 'An expression of the view fails for this record.',
  key_size: 'A key of the group is larger than PostgreSQL can index.',
  size: 'A value is larger than is kept.',
  watermark: 'Its window had closed by the watermark of its own partition.',
  floor: 'Its window had closed while the partition was idle.',
};

function useLedger<R extends Refused>(path: string, amount: number) {
  const ledger = useSignal<Ledger<R> | null>(null);
  const error = useSignal<unknown>(null);
  const chosen = useSignal<Cause | null>(null);
  const open = useSignal<number | null>(null);
  const c = chosen.value;
  const q = new URLSearchParams({ limit: String(page) });
  if (c !== null) {
    q.set('cause', c.cause);
    q.set('of', path === '/v1/late' ? (c.view ?? '') : c.table);
  }
  const asked = path + '?' + q;
  useEffect(() => {
    if (open.value !== null) return; // what is being read stands still
    const over = new AbortController();
    get<Ledger<R>>(asked, over.signal).then((a) => { ledger.value = a; error.value = null; }, (err) => { if (!over.signal.aborted) error.value = err; });
    return () => over.abort();
  }, [asked, amount, up.value, commitSeq.value === 0, open.value === null]);
  async function more() {
    const last = ledger.value?.rows.at(-1);
    if (last === undefined) return;
    try {
      const next = await get<Ledger<R>>(asked + '&before=' + last.id);
      ledger.value = { causes: next.causes, rows: [...ledger.value!.rows, ...next.rows] };
    } catch (err) {
      error.value = err;
    }
  }
  return { ledger, error, chosen, open, more };
}

export function QuarantinePage() {
  const amount = status.value?.ledgers.quarantine ?? 0;
  const l = useLedger<Quarantined>('/v1/quarantine', amount);
  const columns: GridColumn<Quarantined>[] = [
    { name: 'field', title: 'At fault', mono: true, render: (r) => r.path || r.column || '–' },
    { name: 'message', title: 'Why', wide: true, render: (r) => <>{r.message} <span class="code">{r.sqlstate}</span></> },
    { name: 'view', title: 'View', render: (r) => r.view || 'all' },
  ];
  return (
    <Page at="quarantine" note="Records that could not be decoded or evaluated. Each counts once, here instead of in the results.">
      <Body l={l} path="/v1/quarantine" editable amount={amount} columns={columns} empty="Every record so far could be read." position={(r) => r.position}
        details={(r) => [['expected', r.expected_type ?? ''], ['statement', r.statement ?? '']]} />
    </Page>
  );
}

export function LatePage() {
  const amount = status.value?.ledgers.late_rows ?? 0;
  const l = useLedger<LateRow>('/v1/late', amount);
  const columns: GridColumn<LateRow>[] = [
    { name: 'view', title: 'View', render: (r) => r.view },
    { name: 'event_time', title: 'Event time (UTC)', render: (r) => time(r.event_time) },
    { name: 'window', title: 'Window', render: (r) => span(r.window_start, r.window_end) },
    { name: 'late', title: 'Late by', numeric: true, render: (r) => duration(r.late_seconds) },
  ];
  return (
    <Page at="late" note="Records that came after their window had closed. A larger watermark of the foreign table waits longer for them.">
      <Body l={l} path="/v1/late" editable={false} amount={amount} columns={columns} empty="No record has come after its window had closed." position={() => null}
        details={(r) => [['watermark', time(r.watermark)], ['floor', time(r.floor)]]} />
    </Page>
  );
}

function Page(p: { at: string; note: string; children: preact.ComponentChildren }) {
  return (
    <>
      <PageHead title={p.at === 'late' ? 'Late rows' : 'Quarantine'} note={p.note}>
        <Tabs label="Ledger" at={p.at} pick={(id) => go('/' + id)} of={[['quarantine', `Quarantine ${count(status.value?.ledgers.quarantine ?? 0)}`], ['late', `Late rows ${count(status.value?.ledgers.late_rows ?? 0)}`]]} />
      </PageHead>
      {p.children}
    </>
  );
}

function Body<R extends Refused>(p: {
  l: ReturnType<typeof useLedger<R>>; amount: number; columns: GridColumn<R>[]; empty: string;
  path: string; editable: boolean; position: (r: R) => number | null | undefined; details: (r: R) => [string, string][];
}) {
  const { ledger, error, chosen, open, more } = p.l;
  if (ledger.value === null) return error.value ? <Failure error={error.value} /> : <Loading what="the ledger" />;
  const { causes, rows } = ledger.value;
  if (causes.length === 0) return <Empty title="Nothing was refused">{p.empty}</Empty>;
  const same = (a: Cause | null, b: Cause) => a !== null && a.cause === b.cause && a.table === b.table && a.view === b.view && a.field === b.field && a.sqlstate === b.sqlstate;
  const listed = rows.filter((r) => chosen.value === null || matches(chosen.value, r as unknown as Quarantined));
  return (
    <>
      {error.value !== null && <Failure error={error.value} />}
      <Section title="By cause">
        <ul class="causes">
          {causes.map((c, i) => (
            <li key={i}>
              <button type="button" class="cause" aria-pressed={same(chosen.value, c)} onClick={() => { open.value = null; chosen.value = same(chosen.value, c) ? null : c; }}>
                <span class="causecount">{count(c.rows)}</span>
                <span class="causetext">
                  <b>{c.cause}</b>{c.field ? <> <code>{c.field}</code></> : ''} · {c.view ?? c.table}
                  <small>{c.message ?? meaning[c.cause]}{c.median_late_seconds !== undefined ? ` Half of them by at most ${duration(c.median_late_seconds)}, the latest by ${duration(c.most_late_seconds ?? 0)}.` : ''}</small>
                </span>
                <small class="causeago">{ago(c.newest_at, heardAt.value || Date.now())}</small>
              </button>
            </li>
          ))}
        </ul>
      </Section>
      <Section title={chosen.value === null ? 'Newest rows' : `Rows: ${chosen.value.cause}${chosen.value.field ? ' ' + chosen.value.field : ''}`} note={chosen.value === null ? undefined : meaning[chosen.value.cause]}>
        <Grid label="Rows of the ledger" rows={listed} rowKey={(r) => r.id} columns={[
          { name: 'offset', title: 'Record', render: (r) => <button type="button" class="link" aria-expanded={open.value === r.id} onClick={() => { open.value = open.value === r.id ? null : r.id; }}>{r.topic} {r.partition}:{r.offset}</button> },
          { name: 'refused_at', title: 'Refused at (UTC)', render: (r) => time(r.refused_at) },
          { name: 'state', title: 'State', render: (r) => r.state },
          ...p.columns,
        ]} below={(r) => (open.value === r.id ? (
          <div class="detail">
            <Payload of={r.payload} position={p.position(r)} />
            <Mend key={r.id} path={p.path} row={r} editable={p.editable} />
            <dl>
              {([['cause', meaning[r.cause] ?? r.cause], ['key', shown(r.key)], ['size', bytes(r.payload_size)], ['written', time(r.timestamp)], ['commit', '#' + r.commit], ...p.details(r)] as [string, string][])
                .filter(([, v]) => v !== '').map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}
            </dl>
          </div>
        ) : null)} />
        {rows.length >= page && rows.length % page === 0 && <button type="button" class="quiet more" onClick={() => void more()}>Further rows</button>}
      </Section>
    </>
  );
}

function matches(c: Cause, r: Quarantined): boolean {
  return (c.field ?? '') === (r.column || r.path || '') && (c.sqlstate ?? '') === (r.sqlstate ?? '') && (c.view ?? '') === (r.view ?? '');
}
