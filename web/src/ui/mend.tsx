// A refused record: edit it, send it through again, or put it aside.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, request, type Asked, type Refused } from '../lib/api';
import { isText } from '../lib/payload';
import { bytes, time } from '../lib/format';
import { Failure } from './parts';

/** How often a request that waits is looked at. */
const lookAgain = 500;

const fate: Record<string, string> = { accepted: 'counts in', filtered: 'is filtered by', late: 'is late for', quarantined: 'is in quarantine for' };

/** path is of the ledger, /v1/quarantine or /v1/late. */
export function Mend(p: { path: string; row: Refused; editable: boolean }) {
  const now = useSignal(p.row);
  const row = now.value;
  const original = isText(row.payload) ? row.payload : null;
  const text = useSignal(original ?? '');
  const reason = useSignal('');
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const said = useSignal('');
  const waits = row.state === 'requested';
  const kept = original === null ? 0 : new TextEncoder().encode(original).length;
  const cut = original !== null && row.payload_size > kept;

  async function look(signal?: AbortSignal) {
    const answer = await get<{ rows: Refused[] }>(`${p.path}?limit=1&before=${row.id + 1}`, signal);
    const found = answer.rows[0];
    if (found?.id === row.id) now.value = found;
  }
  useEffect(() => {
    if (!waits) return;
    const over = new AbortController();
    const timer = setInterval(() => void look(over.signal).catch(() => undefined), lookAgain);
    return () => { clearInterval(timer); over.abort(); };
  }, [waits]);

  async function ask(verb: string, body: unknown) {
    busy.value = true;
    error.value = null;
    said.value = '';
    try {
      const answer = (await (await request(`${p.path}/${verb}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json()) as { rows: Asked[] };
      said.value = answer.rows[0]?.detail ?? '';
      await look();
    } catch (err) {
      error.value = err;
    } finally {
      busy.value = false;
    }
  }
  const edited = p.editable && text.value !== (original ?? '');
  const q = row.request;
  return (
    <form class="produce mend" onSubmit={(e) => { e.preventDefault(); void ask('replay', { rows: [edited ? { id: row.id, payload: text.value } : { id: row.id }] }); }}>
      <div aria-live="polite">
        {q !== undefined && <p class={'said ' + (q.state === 'applied' ? 'good' : q.state === 'refused' ? 'bad' : '')}>
          {q.state === 'requested' && <>Waits for the engine since {time(q.requested_at)}.</>}
          {q.state === 'applied' && <>Replayed: the record {q.fates.map((f, i) => <span key={i}>{i > 0 ? ', ' : ''}{fate[f.fate]} <b>{f.view}</b></span>)}.</>}
          {q.state === 'refused' && <>The replay was refused: {q.reason}</>}
          {q.state === 'void' && <>The replay is void: {q.reason}</>}
          {q.state === 'dropped' && <>Dropped: {q.reason}</>}
        </p>}
        {said.value !== '' && <p class="said">{said.value}</p>}
        {error.value !== null && <Failure error={error.value} />}
      </div>
      {(row.state === 'open' || row.state === 'dropped') && <>
        {cut && <p class="said bad">The ledger keeps {bytes(kept)} of the payload's {bytes(row.payload_size)}: put all of it here to send it through.</p>}
        {p.editable && original !== null && <label>Payload to send through<textarea rows={Math.min(12, text.value.split('\n').length + 2)} spellcheck={false} value={text.value} onInput={(e) => { text.value = e.currentTarget.value; }} /></label>}
        <div class="row">
          <button type="submit" class="primary" disabled={busy.value || (cut && !edited)}>{edited ? 'Replay as edited' : 'Replay as it is'}</button>
          {edited && <button type="button" class="quiet" onClick={() => { text.value = original ?? ''; }}>As it was</button>}
          {row.state === 'open' && <>
            <label>Why not <input value={reason.value} placeholder="a reason to drop it" onInput={(e) => { reason.value = e.currentTarget.value; }} /></label>
            <button type="button" disabled={busy.value || reason.value.trim() === ''} onClick={() => void ask('drop', { ids: [row.id], reason: reason.value })}>Drop</button>
          </>}
        </div>
      </>}
    </form>
  );
}
