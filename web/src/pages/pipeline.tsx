// How the pipeline stands.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { commits, tables, readTables } from '../lib/catalog';
import { heardAt, refused, samples, state, status } from '../lib/status';
import { type PipelineStatus, type Table } from '../lib/api';
import { ago, bytes, count, duration, rate, span, time } from '../lib/format';
import * as plots from '../lib/plots';
import { depths } from '../lib/graph';
import { Chart } from '../ui/chart';
import { Graph, type Node } from '../ui/graph';
import { Grid } from '../ui/grid';
import { Empty, Failure, Figure, Loading, PageHead, Section, State, Tabs } from '../ui/parts';

export function PipelinePage() {
  useEffect(() => { void readTables(); }, [commits.value]);
  const s = status.value;
  if (s === null) {
    return (
      <>
        <PageHead title="Pipeline" />
        {refused.value ? <Failure error={refused.value} /> : <Loading what="the status" />}
      </>
    );
  }
  return (
    <>
      <PageHead title={s.name} note={<>Started {time(s.started_at)} UTC · {s.workers} {s.workers === 1 ? 'worker' : 'workers'} · generation {s.generation} · {s.version}</>}>
        <State state={state.value} />
      </PageHead>
      {s.reason !== undefined && s.reason !== '' && <Trouble s={s} />}
      <Figures s={s} />
      <Section title="Flow"><Graph nodes={nodes(s, tables.value ?? [])} /></Section>
      <Windows s={s} />
      <Plots />
      <Commits s={s} />
    </>
  );
}

function Trouble({ s }: { s: PipelineStatus }) {
  return (
    <div class="failure" role="alert">
      <p><strong>{s.state === 'failed' ? 'The engine has stopped' : 'The engine tries again'}</strong></p>
      <p class="reason">{s.reason}</p>
      <p class="note">{s.state === 'failed' ? 'Start the process again once the cause is gone: it goes on where it stopped, nothing is lost.' : 'It goes on by itself once this is over. Nothing is lost meanwhile.'}</p>
    </div>
  );
}

function lagOf(s: PipelineStatus) {
  return { records: s.topics.reduce((n, t) => n + t.lag_records, 0), seconds: Math.max(0, ...s.topics.map((t) => t.lag_seconds)) };
}

function gapOf(watermark: string | undefined): string {
  return watermark === undefined ? '–' : duration(Math.max(0, Math.round((heardAt.value - Date.parse(watermark)) / 1000)));
}

function Figures({ s }: { s: PipelineStatus }) {
  const lag = lagOf(s);
  const oldest = s.views.map((v) => v.watermark).filter((w) => w !== undefined).sort()[0];
  return (
    <dl class="figures">
      <Figure label="Processed" value={rate(s.rates.records_per_second)} note={bytes(s.rates.bytes_per_second) + '/s'} />
      <Figure label="Written" value={rate(s.rates.rows_per_second)} note="result rows" />
      <Figure label="Lag" value={count(lag.records)} note={lag.records === 0 ? 'records' : 'records, ' + duration(lag.seconds)} mood={lag.seconds > 60 && 'warn'} />
      <Figure label="Event time behind" value={gapOf(oldest)} note={oldest === undefined ? 'no watermark yet' : 'watermark ' + time(oldest)} />
      <Figure label="Last commit" value={s.commit ? ago(s.commit.at, heardAt.value) : '–'} note={s.commit ? `#${s.commit.seq}, ${duration(s.commit.duration_seconds)}` : 'none yet'} />
      <Figure label="State" value={bytes(s.views.reduce((n, v) => n + v.state_bytes, 0))} note={count(s.views.reduce((n, v) => n + v.open_groups, 0)) + ' groups'} />
      <Figure label="Quarantine" href="/quarantine" value={count(s.ledgers.quarantine)} note="records" mood={s.ledgers.quarantine > 0 && 'warn'} />
      <Figure label="Late" href="/late" value={count(s.ledgers.late_rows)} note="rows" mood={s.ledgers.late_rows > 0 && 'warn'} />
    </dl>
  );
}

function nodes(s: PipelineStatus, all: Table[]): Node[] {
  const out: Node[] = s.topics.map((t) => ({
    id: 'topic ' + t.table, layer: 0, from: [], title: t.table, kind: 'topic', href: '/topics/' + encodeURIComponent(t.topic),
    mood: t.lag_seconds > 60 ? 'warn' : '',
    figures: [
      ['in', rate(t.rates.records_per_second)],
      ['lag', count(t.lag_records) + (t.lag_records > 0 ? ' · ' + duration(t.lag_seconds) : '')],
      ['partitions', t.partitions.length + (t.partitions.some((p) => p.idle_since) ? ` (${t.partitions.filter((p) => p.idle_since).length} idle)` : '')],
    ],
  }));
  const own = new Set(s.views.map((v) => v.name));
  for (const v of s.views) {
    out.push({
      id: v.name, layer: 1, from: v.inputs.map((i) => 'topic ' + i), title: v.name, kind: v.emit === 'final' ? 'view, final' : 'view', href: '/tables/' + encodeURIComponent(v.name),
      reads: [...v.inputs, ...(v.lookups ?? [])].join(', '),
      mood: v.group_errors > 0 ? 'warn' : '',
      figures: [
        ['out', rate(v.rates.rows_per_second)],
        ['behind', gapOf(v.watermark)],
        v.open_windows > 0 ? ['open', `${count(v.open_windows)} ${v.open_windows === 1 ? 'window' : 'windows'}`] : ['groups', count(v.open_groups)],
        ['state', bytes(v.state_bytes)],
      ],
    });
  }
  const over = new Map(all.filter((t) => !own.has(t.name) && t.views.length > 0).map((t) => [t.name, t.views]));
  const depth = depths(over, (id) => (own.has(id) ? 1 : undefined));
  for (const t of all) {
    if (!over.has(t.name)) continue;
    out.push({
      id: t.name, layer: depth.get(t.name) ?? 2, from: t.views, title: t.name, kind: 'SQL view', href: '/tables/' + encodeURIComponent(t.name), reads: t.views.join(', '),
      figures: [['columns', String(t.columns.length)], ['as of', t.freshness ? '#' + t.freshness.commit : '–']],
    });
  }
  return out;
}

/** How many windows are listed until more are asked for. */
const listed = 8;

function Windows({ s }: { s: PipelineStatus }) {
  const more = useSignal(false);
  const windows = s.views.flatMap((v) => v.windows.map((w) => ({ view: v.name, ...w })));
  const open = s.views.reduce((n, v) => n + v.open_windows, 0);
  const shown = more.value ? windows : windows.slice(0, listed);
  return (
    <Section title="Open windows" note={open > 0 ? count(open) : undefined}>
      {windows.length === 0
        ? <Empty title="No window is open">{s.topics.some((t) => t.partitions.some((p) => p.end > 0)) ? 'A window opens with its first event.' : <>Nothing has arrived yet. Send a record: <a href="/topics">choose a topic</a> and produce one.</>}</Empty>
        : <Grid label="Open windows" rows={shown} rowKey={(w) => w.view + w.start + w.end} columns={[
          { name: 'view', title: 'View' },
          { name: 'window', title: 'Window (UTC)', render: (w) => <span class="nowrap">{span(w.start, w.end)}</span> },
          { name: 'groups', title: 'Groups', numeric: true, render: (w) => count(w.groups) },
          { name: 'reason', title: 'What it waits for', wide: true },
        ]} />}
      {windows.length > listed && <button type="button" class="quiet more" onClick={() => { more.value = !more.value; }}>{more.value ? 'Show fewer' : `Show all ${windows.length}`}</button>}
      {s.views.flatMap((v) => v.waits_for.slice(0, 2).map((w) => (
        <p class="waits" key={v.name + w.topic + w.partition}><b>{v.name}</b> is held by <b>{w.topic}</b>, partition {w.partition}: {w.reason}.</p>
      )))}
    </Section>
  );
}

function Plots() {
  const minutes = useSignal('5');
  const cut = useComputed(() => samples.value.slice(-60 * Number(minutes.value)));
  const list = cut.value;
  const end = list.length > 0 ? Date.parse(list[list.length - 1]!.at) / 1000 : 0;
  const range: [number, number] = [end - 60 * Number(minutes.value), end];
  const panel = (title: string, p: plots.Plot, format: (v: number) => string, fill = false) => (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      <Chart label={title} data={p.data} range={range} group="pipeline" format={format} whole={format === count || format === bytes} lines={p.lines.map((label, i) => ({ label, color: i, fill: fill || p.lines.length === 1 }))} />
    </figure>
  );
  return (
    <Section title="The last minutes" actions={<Tabs label="Stretch of time" at={minutes.value} pick={(m) => { minutes.value = m; }} of={[['1', '1 min'], ['5', '5 min'], ['15', '15 min']]} />}>
      {list.length < 2 ? <Empty title="The plots begin in a second or two" /> : (
        <div class="plots">
          {panel('Records per second', plots.rates(list), rate)}
          {panel('Lag, records', plots.lag(list), count)}
          {panel('Commit duration by step', plots.durations(list), duration, true)}
          {panel('Event time behind', plots.byView(list, (v) => v.watermark_gap_seconds), duration)}
          {panel('State, groups', plots.byView(list, (v) => v.state_groups), count)}
          {panel('State, bytes', plots.byView(list, (v) => v.state_bytes), bytes)}
          {panel('Result rows per second', plots.written(list), rate)}
          {panel('Late and quarantined per second', plots.refused(list), rate)}
        </div>
      )}
    </Section>
  );
}

function Commits({ s }: { s: PipelineStatus }) {
  return (
    <Section title="Last commits">
      {s.commits.length === 0 ? <Empty title="Nothing has been committed yet">The first commit follows the first record.</Empty> : (
        <Grid label="Last commits" rows={s.commits.slice(0, 10)} rowKey={(c) => c.seq} columns={[
          { name: 'seq', title: 'Commit', numeric: true },
          { name: 'at', title: 'At (UTC)', render: (c) => time(c.at) },
          { name: 'records', title: 'Records', numeric: true, render: (c) => count(c.records) },
          { name: 'rows', title: 'Rows', numeric: true, render: (c) => count(c.rows) },
          { name: 'duration_seconds', title: 'Duration', numeric: true, render: (c) => duration(c.duration_seconds) },
          { name: 'steps', title: 'Longest step', render: (c) => longest(c.step_seconds) },
        ]} />
      )}
    </Section>
  );
}

function longest(steps: Record<string, number> | undefined): string {
  const top = Object.entries(steps ?? {}).sort((a, b) => b[1] - a[1])[0];
  return top ? `${top[0]} ${duration(top[1])}` : '–';
}
