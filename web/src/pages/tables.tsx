// The tables, and one of them: as a live chart, as a grid, as it is defined.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { protectedServer, request, type Table } from '../lib/api';
import { commits, readTables, tables, tablesError } from '../lib/catalog';
import { commitSeq, heardAt, up } from '../lib/status';
import { ago, isNumeric, time } from '../lib/format';
import { address, curl, operators, type Filter, type Question } from '../lib/filters';
import { go, query } from '../lib/router';
import { Grid, value, type Order } from '../ui/grid';
import { Copy, Empty, Failure, Loading, PageHead, Tabs } from '../ui/parts';
import { TableChart } from './tablechart';

/** How many rows a page of the grid has. */
const page = 100;

export function TablesPage() {
  useEffect(() => { void readTables(); }, [commits.value]);
  const list = tables.value;
  return (
    <>
      <PageHead title="Tables" note="What the pipeline keeps up to date, and what reads it. Each is an endpoint of the API." />
      {list === null && (tablesError.value ? <Failure error={tablesError.value} retry={() => void readTables()} /> : <Loading what="the tables" />)}
      {list !== null && list.length === 0 && <Empty title="There are no tables yet">They appear when the pipeline starts. A <code>CREATE MATERIALIZED VIEW</code> in its file makes one.</Empty>}
      {list !== null && list.length > 0 && (
        <Grid label="Tables" rows={list} rowKey={(t) => t.name} columns={[
          { name: 'name', title: 'Name', render: (t) => <a href={'/tables/' + encodeURIComponent(t.name)}>{t.name}</a> },
          { name: 'kind', title: 'Kind', render: (t) => kind(t) },
          { name: 'columns', title: 'Columns', wide: true, render: (t) => <span class="mono small">{t.columns.map((c) => c.name).join(', ')}</span> },
          { name: 'complete', title: 'Complete up to (UTC)', render: (t) => time(t.freshness?.watermark) },
          { name: 'fresh', title: 'Last commit', render: (t) => (t.freshness ? ago(t.freshness.committed_at, heardAt.value || Date.now()) : '–') },
          { name: 'comment', title: 'About', wide: true, render: (t) => t.comment ?? '' },
        ]} />
      )}
    </>
  );
}

function kind(t: Table): string {
  return t.kind === 'materialized view' ? (t.emit === 'final' ? 'live view, final rows' : 'live view') : t.kind;
}

export function TablePage({ name }: { name: string }) {
  useEffect(() => { void readTables(); }, [commits.value]);
  const tab = new URLSearchParams(query.value).get('as') ?? 'chart';
  const t = tables.value?.find((x) => x.name === name);
  if (t === undefined) {
    return (
      <>
        <PageHead title={name} />
        {tables.value === null ? (tablesError.value ? <Failure error={tablesError.value} retry={() => void readTables()} /> : <Loading what="the table" />)
          : <Empty title="There is no such table">It may have gone with a change of the pipeline. <a href="/tables">All tables</a></Empty>}
      </>
    );
  }
  return (
    <>
      <PageHead title={t.name} note={<>{t.comment ? t.comment + ' · ' : ''}{kind(t)}{t.freshness?.watermark ? ` · complete up to ${time(t.freshness.watermark)} UTC` : ''}</>}>
        <Tabs label="Shown as" at={tab} pick={(id) => go('/tables/' + encodeURIComponent(name) + (id === 'chart' ? '' : '?as=' + id), true)} of={[['chart', 'Chart'], ['rows', 'Rows'], ['definition', 'Definition']]} />
      </PageHead>
      {tab === 'rows' ? <Rows table={t} /> : tab === 'definition' ? <Definition table={t} /> : <TableChart table={t} />}
    </>
  );
}

function Rows({ table: t }: { table: Table }) {
  const newest = t.window_start || t.window_end || t.columns.find((c) => t.key.includes(c.name) && /^timestamp/.test(c.type))?.name;
  const order = useSignal<Order | undefined>(newest ? { column: newest, down: true } : undefined);
  const filters = useSignal<Filter[]>([]);
  const final = useSignal(false);
  const rows = useSignal<Record<string, unknown>[] | null>(null);
  const next = useSignal('');
  const error = useSignal<unknown>(null);
  const q: Question = { table: t.name, filters: filters.value, order: order.value, limit: page, final: final.value };
  const asked = address(q);
  const more = useSignal(false);
  useEffect(() => {
    if (more.value) return; // those who read on are not taken back to the first page
    const over = new AbortController();
    read(asked, over.signal).then((r) => { rows.value = r.rows; next.value = r.next; error.value = null; }, (err) => { if (!over.signal.aborted) error.value = err; });
    return () => over.abort();
  }, [asked, Math.floor(commitSeq.value / 2), up.value]);
  useEffect(() => { more.value = false; }, [asked]);
  async function readOn() {
    more.value = true;
    try {
      const r = await read(next.value);
      rows.value = [...(rows.value ?? []), ...r.rows];
      next.value = r.next;
    } catch (err) {
      error.value = err;
    }
  }
  return (
    <>
      <Filters table={t} filters={filters.value} change={(f) => { filters.value = f; }} final={t.windowed ? final.value : undefined} setFinal={(f) => { final.value = f; }} />
      <p class="asked"><code>{asked}</code><Copy label="Copy as curl" text={() => curl(location.origin, asked, protectedServer.value)} /></p>
      {error.value !== null && <Failure error={error.value} />}
      {rows.value === null ? error.value === null && <Loading what="rows" /> : rows.value.length === 0
        ? <Empty title={filters.value.length > 0 || final.value ? 'No row passes the filters' : 'The table is empty'}>{filters.value.length > 0 || final.value ? 'Take one of them away.' : 'Rows appear with the first records. Send one on the page of its topic.'}</Empty>
        : <Grid label={'Rows of ' + t.name} rows={rows.value} order={order.value} sort={(c) => { order.value = { column: c, down: order.value?.column === c ? !order.value.down : isNumeric(t.columns.find((x) => x.name === c)?.type ?? '') }; }}
            columns={t.columns.map((c) => ({ name: c.name, note: c.type + (c.comment ? ': ' + c.comment : ''), numeric: isNumeric(c.type), mono: !isNumeric(c.type), render: (r: Record<string, unknown>) => value(r[c.name]) }))} />}
      {next.value !== '' && <button type="button" class="quiet more" onClick={() => void readOn()}>Further rows</button>}
    </>
  );
}

async function read(path: string, signal?: AbortSignal) {
  const answer = await request(path, { signal });
  const link = /<([^>]+)>; rel="next"/.exec(answer.headers.get('Link') ?? '');
  return { rows: (await answer.json()) as Record<string, unknown>[], next: link?.[1] ?? '' };
}

function Filters(p: { table: Table; filters: Filter[]; change: (f: Filter[]) => void; final?: boolean; setFinal: (f: boolean) => void }) {
  const column = useSignal(p.table.columns[0]?.name ?? '');
  const op = useSignal('eq');
  const text = useSignal('');
  function add(e: Event) {
    e.preventDefault();
    p.change([...p.filters, { column: column.value, op: op.value, value: text.value }]);
    text.value = '';
  }
  return (
    <div class="filters">
      <form onSubmit={add}>
        <label><span class="hidden">Column</span><select value={column.value} onChange={(e) => { column.value = e.currentTarget.value; }}>{p.table.columns.map((c) => <option key={c.name}>{c.name}</option>)}</select></label>
        <label><span class="hidden">Operator</span><select value={op.value} onChange={(e) => { op.value = e.currentTarget.value; }}>{operators.map(([id, label]) => <option key={id} value={id}>{label}</option>)}</select></label>
        <label><span class="hidden">Value</span><input value={text.value} placeholder={op.value === 'in' ? 'a, b' : op.value === 'is' ? 'null' : op.value.endsWith('like') ? 'a*' : 'value'} onInput={(e) => { text.value = e.currentTarget.value; }} /></label>
        <button type="submit">Filter</button>
      </form>
      {p.final !== undefined && <label class="check"><input type="checkbox" checked={p.final} onChange={(e) => p.setFinal(e.currentTarget.checked)} />final rows only</label>}
      {p.filters.length > 0 && <ul class="chips">{p.filters.map((f, i) => (
        <li key={i}><code>{f.column} {operators.find(([id]) => id === f.op)?.[1]} {f.value}</code><button type="button" aria-label={`Take away the filter on ${f.column}`} onClick={() => p.change(p.filters.filter((_, j) => j !== i))}>×</button></li>
      ))}</ul>}
    </div>
  );
}

function Definition({ table: t }: { table: Table }) {
  return (
    <>
      {t.definition
        ? <div class="codebox"><pre tabIndex={0}>{t.definition.trim()}</pre><Copy label="Copy" text={() => t.definition!.trim()} /></div>
        : <Empty title="A plain table">It is as its columns say; nobody derives it.</Empty>}
      <Grid label="Columns" rows={t.columns} rowKey={(c) => c.name} columns={[
        { name: 'name', title: 'Column', mono: true },
        { name: 'type', title: 'Type', mono: true },
        { name: 'key', title: 'Key', render: (c) => (t.key.includes(c.name) ? 'key' : '') },
        { name: 'nullable', title: 'Null', render: (c) => (c.nullable ? 'may be null' : '') },
        { name: 'comment', title: 'About', wide: true, render: (c) => c.comment ?? '' },
      ]} />
    </>
  );
}

