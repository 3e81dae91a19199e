// Requests to the API, and the shapes of its answers.
import { signal } from '@preact/signals';

export interface Rates { records_per_second: number; bytes_per_second: number; rows_per_second: number }
export interface Commit { seq: number; at: string; records: number; rows: number; duration_seconds: number; step_seconds?: Record<string, number> }
export interface Partition { partition: number; offset: number; end: number; lag_records: number; lag_seconds: number; watermark?: string; idle_since?: string; paused?: boolean }
export interface TopicStatus { table: string; topic: string; server: string; rates: Rates; lag_records: number; lag_seconds: number; partitions: Partition[] }
export interface OpenWindow { start: string; end: string; groups: number; reason: string }
export interface Waiting { table: string; topic: string; partition: number; watermark?: string; reason: string }
export interface Counts { read: number; accepted: number; filtered: number; late: number; quarantined: number; skipped: number }
export interface ViewStatus {
  name: string; emit: string; inputs: string[]; lookups?: string[]; rates: Rates; watermark?: string; floor?: string; final_before?: string;
  open_windows: number; open_groups: number; state_bytes: number; counts: Counts; windows: OpenWindow[]; group_errors: number; waits_for: Waiting[];
}
export interface PipelineStatus {
  name: string; version: string; state: string; reason?: string; started_at: string; generation: number; workers: number; rates: Rates;
  ledgers: { quarantine: number; late_rows: number; group_errors: number };
  commit?: Commit; commits: Commit[]; topics: TopicStatus[]; views: ViewStatus[];
}
export interface ViewSample { name: string; watermark_gap_seconds?: number; open_windows: number; state_groups: number; state_bytes: number }
export interface Sample {
  number: number; at: string; seconds: number; read: number; records: number; bytes: number; rows: number; commits: number;
  late: number; quarantined: number; lag_records: number; lag_seconds: number; step_seconds?: Record<string, number>; views: ViewSample[];
}
export interface Column { name: string; type: string; nullable: boolean; comment?: string }
export interface Table {
  name: string; kind: 'table' | 'view' | 'materialized view'; comment?: string; columns: Column[]; key: string[]; views: string[];
  windowed: boolean; emit?: string; window_start?: string; window_end?: string; definition?: string; url: string;
  freshness?: { commit: number; committed_at: string; watermark?: string };
}
export type Text = string | null | { base64: string };
export interface TopicTable { name: string; comment?: string; event_time?: string; watermark_seconds: number; columns: Column[] }
export interface Topic {
  topic: string; server: string; tables: TopicTable[]; problem?: string;
  partitions: { partition: number; start: number; end: number; leader: number; replicas: number; in_sync: number; problem?: string }[];
}
export interface TopicRecord {
  partition: number; offset: number; timestamp: string; key: Text; value: Text; headers?: [Text, Text][];
  columns?: Record<string, unknown>; fault?: { field?: string; position: number; code: string; message: string };
}
export interface Cause {
  cause: string; table: string; view?: string; field?: string; sqlstate?: string; rows: number; newest_id: number; newest_at: string;
  message?: string; median_late_seconds?: number; most_late_seconds?: number;
}
export interface Refused {
  id: number; table: string; topic: string; partition: number; offset: number; timestamp: string; view?: string; cause: string;
  key: Text; headers?: unknown; payload: Text; payload_size: number; refused_at: string; commit: number;
  state: 'open' | 'requested' | 'replayed' | 'dropped'; replay_of?: number; request?: LedgerRequest;
}
export interface LedgerRequest {
  id: number; state: 'requested' | 'applied' | 'refused' | 'void' | 'dropped'; reason?: string; requested_at: string; applied_at?: string;
  fates: { view: string; fate: 'accepted' | 'filtered' | 'late' | 'quarantined'; reason?: string }[];
}
/** What comes of asking for something for a row of a ledger. */
export interface Asked { id: number; answer: 'requested' | 'dropped' | 'already' | 'not possible'; detail?: string; request?: number }
export interface Quarantined extends Refused { statement?: string; column?: string; path?: string; position?: number; expected_type?: string; sqlstate?: string; message: string }
export interface LateRow extends Refused { event_time: string; window_start: string; window_end: string; watermark?: string; floor?: string; late_seconds: number }

/** A problem as the API tells it, or that it did not answer at all (status 0). */
export class Problem extends Error {
  constructor(readonly status: number, message: string, readonly code = '', readonly hint = '', readonly body: Record<string, unknown> = {}) {
    super(message);
  }
}

/** keyWanted tells that the server has refused a request for want of a key. */
export const keyWanted = signal(false);
/** keyNumber changes with each key, so that streams begin anew. */
export const keyNumber = signal(0);

/** Exchanges a key for a cookie that scripts can't read; the page keeps nothing. */
export async function giveKey(key: string): Promise<void> {
  const answer = await fetch('/v1/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ key: key.trim() }) });
  if (!answer.ok) throw await problemOf(answer);
  protectedServer.value = true;
  keyWanted.value = false;
  keyNumber.value++;
}

/** protectedServer tells that the server asks for keys: commands to copy have one. */
export const protectedServer = signal(false);

/** Sends a request; an answer that is no success is thrown as a Problem. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await reach(path, init);
  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401) keyWanted.value = protectedServer.value = true;
  throw await problemOf(answer);
}

/** How long a question waits before it is asked again when nobody answered, in ms. */
const waits = [250, 1000, 3000];

/** Asks again where the connection broke; what writes is sent once. */
async function reach(path: string, init: RequestInit): Promise<Response> {
  for (let tries = 0; ; tries++) {
    try {
      return await fetch(path, init);
    } catch (err) {
      if (init.signal?.aborted) throw err;
      if ((init.method ?? 'GET') !== 'GET' || tries >= waits.length) {
        throw new Problem(0, 'Millstream does not answer', '', 'Is the process still running? The page goes on by itself when it is back.');
      }
      await new Promise((done) => setTimeout(done, waits[tries]));
    }
  }
}

export async function problemOf(answer: Response): Promise<Problem> {
  try {
    const body = (await answer.json()) as Record<string, unknown>;
    return new Problem(answer.status, String(body.detail ?? answer.statusText), String(body.code ?? ''), String(body.hint ?? ''), body);
  } catch {
    return new Problem(answer.status, answer.statusText || 'status ' + answer.status);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, { signal })).json()) as T;
}
