// A table as a chart: lines over time that follow each commit, or bars.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { get, keyNumber, Problem, type Table } from '../lib/api';
import { address, type Filter } from '../lib/filters';
import { cell, count } from '../lib/format';
import { mostLines, shapeOf, type Frame, type Shape } from '../lib/shape';
import { commitSeq, status, up } from '../lib/status';
import type { FromWorker, ToWorker } from '../lib/livetable';
import { Chart } from '../ui/chart';
import { Empty, Failure, Loading } from '../ui/parts';

/** How many rows a chart is of: the newest. */
const sizes = ['1000', '10000', '100000'];

export function TableChart({ table: t }: { table: Table }) {
  const shape = shapeOf(t);
  const y = useSignal(shape?.ys[0] ?? '');
  const most = useSignal(sizes[0]!);
  if (shape === null) return <Empty title="There is no number to draw">The table has no numeric column. <a href={'/tables/' + encodeURIComponent(t.name) + '?as=rows'}>Its rows</a></Empty>;
  return (
    <>
      <div class="filters">
        {shape.ys.length > 1 && <label>Value <select value={y.value} onChange={(e) => { y.value = e.currentTarget.value; }}>{shape.ys.map((c) => <option key={c}>{c}</option>)}</select></label>}
        {shape.x !== '' && <label>Newest <select value={most.value} onChange={(e) => { most.value = e.currentTarget.value; }}>{sizes.map((n) => <option key={n} value={n}>{count(Number(n))} rows</option>)}</select></label>}
      </div>
      {shape.x === '' ? <Bars table={t} shape={shape} y={y.value} /> : <Lines key={t.name + y.value + most.value} table={t} shape={shape} y={y.value} most={Number(most.value)} />}
    </>
  );
}

/** Where rows may still change: the start of the first window that is not closed, in ms. */
function provisionalFrom(t: Table): number | null {
  if (!t.windowed || t.emit === 'final') return null;
  const view = status.value?.views.find((v) => v.name === t.name);
  if (view === undefined) return null;
  const final = view.final_before === undefined ? -Infinity : Date.parse(view.final_before);
  const open = view.windows.filter((w) => Date.parse(w.end) > final);
  if (open.length === 0) return null;
  return Math.min(...open.map((w) => Date.parse(t.window_start ? w.start : w.end)));
}

/** A number in the table that began to be streamed: the time of the row that is the last to be shown. */
async function bound(t: Table, x: string, most: number): Promise<Filter[]> {
  const asked = address({ table: t.name, select: [x], filters: [{ column: x, op: 'is', value: 'not_null' }], order: { column: x, down: true }, limit: 1 }) + '&offset=' + (most - 1);
  const found = await get<Record<string, string>[]>(asked);
  return found.length === 0 ? [] : [{ column: x, op: 'gte', value: found[0]![x]! }];
}

function Lines({ table: t, shape, y, most }: { table: Table; shape: Shape; y: string; most: number }) {
  const frame = useSignal<Frame | null>(null);
  const error = useSignal<Problem | null>(null);
  const worker = useRef<Worker | null>(null);
  const live = t.kind === 'materialized view' && t.key.length > 0;
  const from = provisionalFrom(t);
  const tell = (m: ToWorker) => worker.current?.postMessage(m);
  useEffect(() => {
    let over = false;
    const w = new Worker(new URL('../lib/livetable.ts', import.meta.url), { type: 'module' });
    worker.current = w;
    w.onmessage = (e: MessageEvent<FromWorker>) => {
      if ('frame' in e.data) {
        frame.value = e.data.frame;
        error.value = null;
      } else if ('problem' in e.data) error.value = new Problem(e.data.problem.status, e.data.problem.detail, '', e.data.problem.hint);
    };
    const select = [...new Set([...t.key, shape.x, ...shape.groups, y])];
    bound(t, shape.x, most).then((filters) => {
      if (over) return;
      const path = live
        ? address({ table: t.name, select, filters }).replace(/^([^?]*)/, '$1/live')
        : address({ table: t.name, select, filters, order: { column: shape.x, down: true }, limit: most });
      tell({ start: { url: path, poll: !live, key: t.key, x: shape.x, y, groups: shape.groups } });
    }, (err) => { error.value = err as Problem; });
    const left = () => w.terminate(); // with its connection
    addEventListener('pagehide', left);
    return () => { over = true; removeEventListener('pagehide', left); w.terminate(); };
  }, [keyNumber.value]);
  useEffect(() => { tell({ provisionalFrom: from }); }, [from, frame.value === null]);
  useEffect(() => { if (!live) tell({ poke: true }); }, [Math.floor(commitSeq.value / 2)]);
  const f = frame.value;
  return (
    <>
      {error.value !== null && <Failure error={error.value} />}
      {f === null ? error.value === null && <Loading what="rows" /> : f.rows === 0
        ? <Empty title="The table is empty">Rows appear with the first records. <a href="/topics">Choose a topic</a> and produce one.</Empty>
        : (
          <figure class="plot large">
            <Chart label={`${y} of ${t.name} over ${shape.x}`} height={380} data={f.data} format={(v) => cell(Number(v.toPrecision(6)))} points={f.data[0].length < 60}
              lines={f.lines.map((l) => ({ label: l.provisional ? l.label + ', may change' : l.label, color: l.group, dashed: l.provisional }))} />
            <figcaption class="note">
              <span data-rows={f.rows}>{count(f.rows)} {f.rows === 1 ? 'row' : 'rows'}</span>{live ? ', each commit as it is made' : ', read again as commits are made'}.
              {f.groups > mostLines && ` The lines are the ${mostLines} with the most rows, of ${count(f.groups)}.`}
              {f.lines.some((l) => l.provisional) && ' Dashed: windows that are open, whose rows may still change.'}
            </figcaption>
          </figure>
        )}
    </>
  );
}

/** How many bars there are at most. */
const bars = 30;

function Bars({ table: t, shape, y }: { table: Table; shape: Shape; y: string }) {
  const rows = useSignal<Record<string, unknown>[] | null>(null);
  const error = useSignal<unknown>(null);
  const asked = address({ table: t.name, filters: [], select: [...new Set([...shape.groups, y])], order: { column: y, down: true }, limit: bars });
  useEffect(() => {
    get<Record<string, unknown>[]>(asked).then((r) => { rows.value = r; error.value = null; }, (err) => { error.value = err; });
  }, [asked, Math.floor(commitSeq.value / 2), up.value]);
  if (error.value !== null) return <Failure error={error.value} />;
  if (rows.value === null) return <Loading what="rows" />;
  if (rows.value.length === 0) return <Empty title="The table is empty">Rows appear with the first records.</Empty>;
  const top = Math.max(...rows.value.map((r) => Math.abs(Number(r[y]) || 0))) || 1;
  return (
    <figure class="plot large">
      <table class="bars">
        <caption>{y}{shape.groups.length > 0 ? ' by ' + shape.groups.join(', ') : ''}</caption>
        <tbody>
          {rows.value.map((r, i) => (
            <tr key={i}>
              <th scope="row">{shape.groups.map((g) => cell(r[g])).join(' · ') || y}</th>
              <td><div class="bar"><i style={{ width: (Math.abs(Number(r[y]) || 0) / top) * 100 + '%' }} /></div></td>
              <td class="num">{r[y] === null ? 'null' : cell(Number(Number(r[y]).toPrecision(8)))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.value.length === bars && <figcaption class="note">The {bars} largest.</figcaption>}
    </figure>
  );
}
