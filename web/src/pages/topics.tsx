// The topics, and one of them: its partitions, its records, and a form to send one.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, Problem, request, type Topic, type TopicRecord, type TopicTable } from '../lib/api';
import { bytes, count, duration, rate, time } from '../lib/format';
import { shown, template } from '../lib/payload';
import { commitSeq, status, up } from '../lib/status';
import { Grid } from '../ui/grid';
import { Empty, Failure, Loading, PageHead, Section } from '../ui/parts';
import { Payload } from '../ui/payload';

function useTopics() {
  const topics = useSignal<Topic[] | null>(null);
  const error = useSignal<unknown>(null);
  const turn = useSignal(0);
  useEffect(() => {
    get<{ topics: Topic[] }>('/v1/topics').then((a) => { topics.value = a.topics; error.value = null; }, (err) => { error.value = err; });
  }, [Math.floor(commitSeq.value / 20), up.value, turn.value]);
  return { topics, error, again: () => { turn.value++; } };
}

const statusOf = (topic: string) => status.value?.topics.filter((t) => t.topic === topic) ?? [];

export function TopicsPage() {
  const { topics, error, again } = useTopics();
  const list = topics.value;
  return (
    <>
      <PageHead title="Topics" note="Where records come from. Each is read by the foreign tables of the pipeline." />
      {list === null && (error.value ? <Failure error={error.value} retry={again} /> : <Loading what="the topics" />)}
      {list !== null && list.length === 0 && <Empty title="The pipeline reads no topic">A <code>CREATE FOREIGN TABLE … SERVER kafka</code> in its file names one.</Empty>}
      {list !== null && list.length > 0 && (
        <Grid label="Topics" rows={list} rowKey={(t) => t.server + ' ' + t.topic} columns={[
          { name: 'topic', title: 'Topic', render: (t) => <a href={'/topics/' + encodeURIComponent(t.topic)}>{t.topic}</a> },
          { name: 'tables', title: 'Read by', render: (t) => t.tables.map((x) => x.name).join(', ') },
          { name: 'partitions', title: 'Partitions', numeric: true, render: (t) => t.problem ?? t.partitions.length },
          { name: 'records', title: 'Offsets held', numeric: true, render: (t) => count(t.partitions.reduce((n, p) => n + p.end - p.start, 0)) },
          { name: 'rate', title: 'Processed', numeric: true, render: (t) => rate(Math.max(0, ...statusOf(t.topic).map((s) => s.rates.records_per_second))) },
          { name: 'bytes', title: 'Bytes', numeric: true, render: (t) => bytes(Math.max(0, ...statusOf(t.topic).map((s) => s.rates.bytes_per_second))) + '/s' },
          { name: 'lag', title: 'Lag', numeric: true, render: (t) => count(Math.max(0, ...statusOf(t.topic).map((s) => s.lag_records))) },
        ]} />
      )}
    </>
  );
}

export function TopicPage({ name }: { name: string }) {
  const { topics, error, again } = useTopics();
  const t = topics.value?.find((x) => x.topic === name);
  if (t === undefined) {
    return (
      <>
        <PageHead title={name} />
        {topics.value === null ? (error.value ? <Failure error={error.value} retry={again} /> : <Loading what="the topic" />)
          : <Empty title="The pipeline reads no such topic"><a href="/topics">All topics</a></Empty>}
      </>
    );
  }
  const table = t.tables[0]!;
  return (
    <>
      <PageHead title={t.topic} note={<>{t.tables.map((x) => x.name + (x.comment ? ': ' + x.comment : '')).join(' · ')}{table.event_time ? <> · event time <code>{table.event_time}</code></> : ' · event time is Kafka’s timestamp'} · watermark {duration(table.watermark_seconds)} behind</>} />
      <Partitions topic={t} />
      {t.problem === undefined && <Produce topic={t} table={table} />}
      {t.problem === undefined && <Records topic={t} table={table} />}
    </>
  );
}

function Partitions({ topic: t }: { topic: Topic }) {
  const known = new Map(statusOf(t.topic)[0]?.partitions.map((p) => [p.partition, p]) ?? []);
  return (
    <Section title="Partitions">
      {t.problem !== undefined ? <Empty title="Nothing is known of its partitions">{t.problem}</Empty> : (
        <Grid label="Partitions" rows={t.partitions} rowKey={(p) => p.partition} columns={[
          { name: 'partition', title: 'Partition', numeric: true },
          { name: 'start', title: 'First offset', numeric: true, render: (p) => count(p.start) },
          { name: 'end', title: 'End', numeric: true, render: (p) => count(known.get(p.partition)?.end ?? p.end) },
          { name: 'committed', title: 'Committed', numeric: true, render: (p) => count(known.get(p.partition)?.offset ?? 0) },
          { name: 'lag', title: 'Lag', numeric: true, render: (p) => count(known.get(p.partition)?.lag_records ?? 0) },
          { name: 'watermark', title: 'Watermark (UTC)', render: (p) => time(known.get(p.partition)?.watermark) },
          { name: 'state', title: 'Is', render: (p) => p.problem ?? partitionState(known.get(p.partition)) },
          { name: 'leader', title: 'Leader', numeric: true, render: (p) => (p.leader < 0 ? 'none' : p.leader) },
          { name: 'in_sync', title: 'In sync', numeric: true, render: (p) => `${p.in_sync} of ${p.replicas}` },
        ]} />
      )}
    </Section>
  );
}

function partitionState(p: { idle_since?: string; paused?: boolean } | undefined): string {
  if (p === undefined) return '–';
  if (p.idle_since) return 'idle since ' + time(p.idle_since);
  return p.paused ? 'ahead, waits for the others' : 'read';
}

interface Ingested { accepted: number; rejected: number; errors: { index: number; field?: string; code: string; message: string }[] }

function Produce({ topic: t, table }: { topic: Topic; table: TopicTable }) {
  const body = useSignal(template(table.columns));
  const key = useSignal('');
  const said = useSignal<Ingested | null>(null);
  const error = useSignal<unknown>(null);
  const busy = useSignal(false);
  async function send(e: Event) {
    e.preventDefault();
    busy.value = true;
    said.value = null;
    error.value = null;
    try {
      const headers: Record<string, string> = { 'Content-Type': 'application/json' };
      if (key.value !== '') headers['Millstream-Key'] = key.value;
      said.value = (await (await request('/v1/topics/' + encodeURIComponent(t.topic), { method: 'POST', headers, body: body.value })).json()) as Ingested;
    } catch (err) {
      error.value = err;
    } finally {
      busy.value = false;
    }
  }
  const wrong = error.value instanceof Problem && Array.isArray(error.value.body.errors) ? (error.value.body.errors as Ingested['errors']) : (said.value?.errors ?? []);
  return (
    <Section title="Produce a record" note="It is checked as the foreign table reads it, then written to the topic for good.">
      <form class="produce" onSubmit={(e) => void send(e)}>
        <label>Record, or an array of records, as JSON<textarea rows={Math.min(10, table.columns.length + 3)} spellcheck={false} value={body.value} onInput={(e) => { body.value = e.currentTarget.value; }} /></label>
        <div class="row">
          <label>Key <input value={key.value} placeholder="none" onInput={(e) => { key.value = e.currentTarget.value; }} /></label>
          <button type="button" class="quiet" onClick={() => { body.value = template(table.columns); }}>Begin anew</button>
          <button type="submit" class="primary" disabled={busy.value}>Produce</button>
        </div>
      </form>
      <div aria-live="polite">
        {said.value !== null && <p class="said good">{said.value.accepted} {said.value.accepted === 1 ? 'record' : 'records'} written{said.value.rejected > 0 ? `, ${said.value.rejected} rejected` : ''}.</p>}
        {error.value !== null && <Failure error={error.value} />}
        {wrong.map((w) => <p class="said bad" key={w.index}>Record {w.index + 1}{w.field ? <>, <code>{w.field}</code></> : ''}: {w.message} <span class="code">{w.code}</span></p>)}
      </div>
    </Section>
  );
}

interface Asked { key: string; from: string; partition: string }
interface Found { table: string; records: TopicRecord[]; scanned: number; complete: boolean }

function Records({ topic: t, table }: { topic: Topic; table: TopicTable }) {
  const asked = useSignal<Asked>({ key: '', from: '', partition: '' });
  const form = useSignal<Asked>(asked.value);
  const found = useSignal<Found | null>(null);
  const error = useSignal<unknown>(null);
  const turn = useSignal(0);
  const open = useSignal<string | null>(null);
  const searching = asked.value.key !== '' || asked.value.from !== '';
  // The last records follow the topic; what was searched for stands still.
  const pulse = searching || open.value !== null ? 0 : Math.floor(Date.now() / 4000);
  useEffect(() => {
    const q = new URLSearchParams({ limit: '50' });
    if (asked.value.key !== '') q.set('key', asked.value.key);
    if (asked.value.from !== '') q.set('from', new Date(asked.value.from + 'Z').toISOString());
    if (asked.value.partition !== '') q.set('partition', asked.value.partition);
    const over = new AbortController();
    get<Found>(`/v1/topics/${encodeURIComponent(t.topic)}/records?${q}`, over.signal).then((a) => { found.value = a; error.value = null; }, (err) => { if (!over.signal.aborted) error.value = err; });
    return () => over.abort();
  }, [asked.value, turn.value, pulse, commitSeq.value === 0]);
  const rows = found.value === null ? [] : searching && asked.value.from !== '' ? found.value.records : [...found.value.records].reverse();
  const at = (r: TopicRecord) => r.partition + ':' + r.offset;
  return (
    <Section title={searching ? 'Records found' : 'Last records'} note={found.value && !found.value.complete ? `looked at ${count(found.value.scanned)} offsets, there are more` : undefined}>
      <form class="filters search" role="search" onSubmit={(e) => { e.preventDefault(); found.value = null; asked.value = { ...form.value }; turn.value++; }}>
        <label>Key <input value={form.value.key} placeholder="any" onInput={(e) => { form.value = { ...form.value, key: e.currentTarget.value }; }} /></label>
        <label>From (UTC) <input type="datetime-local" step="1" value={form.value.from} onInput={(e) => { form.value = { ...form.value, from: e.currentTarget.value }; }} /></label>
        <label>Partition <select value={form.value.partition} onChange={(e) => { form.value = { ...form.value, partition: e.currentTarget.value }; }}><option value="">all</option>{t.partitions.map((p) => <option key={p.partition} value={String(p.partition)}>{p.partition}</option>)}</select></label>
        <button type="submit">Search</button>
        {searching && <button type="button" class="quiet" onClick={() => { form.value = asked.value = { key: '', from: '', partition: '' }; found.value = null; }}>Show the last ones</button>}
      </form>
      {error.value !== null && <Failure error={error.value} />}
      {found.value === null ? error.value === null && <Loading what="records" /> : rows.length === 0
        ? <Empty title={searching ? 'No record is like that' : 'The topic is empty'}>{searching ? 'Search from another time on, or without the key.' : <>Produce a record above, or run <code>millstream produce {t.topic}</code>.</>}</Empty>
        : <Grid label={'Records of ' + t.topic} rows={rows} rowKey={at} columns={[
          { name: 'offset', title: 'Partition:offset', render: (r) => <button type="button" class="link" aria-expanded={open.value === at(r)} onClick={() => { open.value = open.value === at(r) ? null : at(r); }}>{at(r)}</button> },
          { name: 'timestamp', title: 'Timestamp (UTC)', render: (r) => time(r.timestamp) },
          { name: 'key', title: 'Key', mono: true, render: (r) => (r.key === null ? <span class="null">null</span> : shown(r.key)) },
          ...table.columns.map((c) => ({ name: 'column ' + c.name, title: c.name, mono: true, render: (r: TopicRecord) => (r.columns ? column(r.columns[c.name]) : r.fault?.field === '$.' + c.name || r.fault?.field === c.name ? <span class="badvalue">does not fit</span> : '') })),
          { name: 'fault', title: 'Fault', wide: true, render: (r) => (r.fault ? <span class="badvalue">{r.fault.message} <span class="code">{r.fault.code}</span></span> : r.value === null ? 'tombstone' : '') },
        ]} below={(r) => (open.value === at(r) ? <Payload of={r.value} position={r.fault?.position} /> : null)} />}
    </Section>
  );
}

function column(v: unknown) {
  if (v === null || v === undefined) return <span class="null">null</span>;
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}
