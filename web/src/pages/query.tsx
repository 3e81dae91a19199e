// One statement that reads: its rows as a grid, and as a chart where they have
// a time and a number.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { protectedServer, Problem, request } from '../lib/api';
import { commits, readTables, tables } from '../lib/catalog';
import { cell, count, duration } from '../lib/format';
import { curl } from '../lib/filters';
import { arrange, shapeOf } from '../lib/shape';
import { Chart } from '../ui/chart';
import type { Editor } from '../ui/editor';
import { Grid, value } from '../ui/grid';
import { Copy, Empty, Failure, PageHead, Section, Tabs } from '../ui/parts';

type Row = Record<string, unknown>;
interface Answer { rows: Row[]; seconds: number; truncated: string | null; commit: string | null }

/** What stood in the editor, for as long as the page is open. */
let kept = '';

export function QueryPage() {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const sql = useRef(kept);
  const answer = useSignal<Answer | null>(null);
  const error = useSignal<unknown>(null);
  const running = useSignal<AbortController | null>(null);
  const as = useSignal('rows');
  const first = tables.value?.[0]?.name;
  async function run() {
    running.value?.abort();
    const over = (running.value = new AbortController());
    const began = performance.now();
    error.value = null;
    try {
      const got = await request(address(sql.current), { signal: over.signal, headers: { Accept: 'application/json' } });
      answer.value = { rows: (await got.json()) as Row[], seconds: (performance.now() - began) / 1000, truncated: got.headers.get('Millstream-Truncated'), commit: got.headers.get('Millstream-Commit') };
    } catch (err) {
      if (over.signal.aborted) return;
      error.value = err;
      if (err instanceof Problem && typeof err.body.position === 'number') editor.current?.at(err.body.position - 1);
    } finally {
      if (running.value === over) running.value = null;
    }
  }
  useEffect(() => { void readTables(); }, [commits.value === -1]);
  useEffect(() => {
    let gone = false;
    if (tables.value === null) return;
    if (sql.current === '' && first !== undefined) sql.current = `SELECT *\nFROM ${ident(first)}\nLIMIT 100`;
    void import('../ui/editor').then((m) => {
      if (gone || host.current === null) return;
      editor.current = m.edit(host.current, sql.current, (text) => { sql.current = kept = text; }, () => void run());
      editor.current.complete(Object.fromEntries((tables.peek() ?? []).map((t) => [t.name, t.columns.map((c) => c.name)])));
    });
    return () => { gone = true; editor.current?.destroy(); editor.current = null; };
  }, [tables.value === null]);
  const a = answer.value;
  const drawn = a === null ? null : drawing(a.rows);
  return (
    <>
      <PageHead title="Query" note="One statement that reads, on the pipeline’s tables and views, as a role that can do nothing else. It has five seconds." />
      <div class="editor" ref={host} />
      <div class="row runrow">
        <span class="note"><kbd>Ctrl</kbd> + <kbd>Enter</kbd> runs it</span>
        <Copy label="Copy as curl" text={() => curl(location.origin, address(sql.current), protectedServer.value)} />
        {running.value === null
          ? <button type="button" class="primary" onClick={() => void run()}>Run</button>
          : <button type="button" onClick={() => { running.value?.abort(); running.value = null; }}>Stop</button>}
      </div>
      {error.value !== null && <Failure error={error.value} />}
      {a !== null && error.value === null && (
        <Section title="Result" note={`${count(a.rows.length)} ${a.rows.length === 1 ? 'row' : 'rows'} in ${duration(a.seconds)}${a.commit ? ', as of commit #' + a.commit : ''}${a.truncated ? '. It is cut: the limit of ' + a.truncated + ' was met' : ''}`}
          actions={drawn && <Tabs label="Shown as" at={as.value} pick={(id) => { as.value = id; }} of={[['rows', 'Rows'], ['chart', 'Chart']]} />}>
          {a.rows.length === 0 ? <Empty title="No row">The statement ran, and found nothing.</Empty>
            : drawn && as.value === 'chart'
              ? <figure class="plot large"><Chart label={`${drawn.y} over ${drawn.x}`} height={340} data={drawn.frame.data} format={(v) => cell(Number(v.toPrecision(6)))} points={drawn.frame.data[0].length < 60} lines={drawn.frame.lines.map((l) => ({ label: l.label, color: l.group }))} /></figure>
              : <Grid label="Result" rows={a.rows.slice(0, shown)} columns={Object.keys(a.rows[0]!).map((name) => ({ name, numeric: typeof a.rows[0]![name] === 'number', mono: typeof a.rows[0]![name] !== 'number', render: (r: Row) => value(r[name]) }))} />}
          {a.rows.length > shown && as.value === 'rows' && <p class="note more">The first {count(shown)} are shown. The command above gives all.</p>}
        </Section>
      )}
    </>
  );
}

/** How many rows of an answer are shown. */
const shown = 500;

function address(sql: string): string { return '/v1/query?sql=' + encodeURIComponent(sql); }

function ident(name: string): string { return /^[a-z_][a-z0-9_]*$/.test(name) ? name : '"' + name.replace(/"/g, '""') + '"'; }

const isoTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/;

/** How an answer can be drawn: its first time, its first number, the texts tell lines apart. */
export function drawing(rows: Row[]) {
  if (rows.length < 2) return null;
  const type = (v: unknown) => (typeof v === 'number' ? 'double precision' : typeof v === 'string' ? (isoTime.test(v) ? 'timestamp' : 'text') : 'json');
  const columns = Object.entries(rows[0]!).map(([name, v]) => ({ name, type: type(v), nullable: true }));
  const shape = shapeOf({ columns, key: [] });
  if (shape === null || shape.x === '') return null;
  const y = shape.ys[0]!;
  const frame = arrange(rows.map((r) => ({ at: Date.parse(String(r[shape.x])), y: typeof r[y] === 'number' ? (r[y] as number) : null, group: shape.groups.map((g) => String(r[g])).join(' · ') || y })), null);
  return { x: shape.x, y, frame };
}
