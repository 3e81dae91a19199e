// A worker that holds the rows of one live chart: it reads the stream, applies
// changes when their commit comes, and arranges them, so that the page is never
// busy with it.
import { stream } from './sse';
import { arrange, type Frame } from './shape';

export interface Start {
  url: string;
  poll: boolean;
  key: string[];
  x: string;
  y: string;
  groups: string[];
}
export type ToWorker = { start: Start } | { provisionalFrom: number | null } | { poke: true };
export type FromWorker = { frame: Frame } | { problem: { status: number; detail: string; hint: string } } | { down: true };

type Row = Record<string, unknown>;

/** How often lines are arranged at most. */
const every = 250;

let start: Start;
let rows = new Map<string, Row>();
let waiting: (() => void)[] = [];
let from: number | null = null;
let timer = 0;
let reading = false;

const post = (m: FromWorker) => postMessage(m);

function keyOf(r: Row, i: number): string {
  return start.key.length === 0 ? String(i) : JSON.stringify(start.key.map((k) => r[k]));
}

function fill(list: Row[]): void {
  rows = new Map(list.map((r, i) => [keyOf(r, i), r]));
}

function soon(): void {
  if (timer !== 0) return;
  timer = setTimeout(() => {
    timer = 0;
    post({ frame: arrange(points(), from) });
  }, every) as unknown as number;
}

function* points() {
  for (const r of rows.values()) {
    const v = r[start.y];
    yield { at: Date.parse(String(r[start.x])), y: v === null || v === undefined ? null : Number(v), group: start.groups.map((g) => String(r[g])).join(' · ') || start.y };
  }
}

function follow(): void {
  stream(start.url, {
    onEvent: (e) => {
      const data = JSON.parse(e.data);
      switch (e.event) {
        case 'snapshot': waiting.push(() => fill(data as Row[])); break;
        case 'upsert': waiting.push(() => rows.set(keyOf(data as Row, 0), data as Row)); break;
        case 'delete': waiting.push(() => rows.delete(keyOf(data as Row, 0))); break;
        case 'reset': waiting = [() => rows.clear()]; break;
        case 'commit':
          for (const apply of waiting) apply();
          waiting = [];
          soon();
          break;
        case 'error': post({ problem: { status: 0, detail: String(data.detail), hint: String(data.hint ?? '') } }); break;
      }
    },
    onDown: async (answer) => {
      waiting = [];
      if (answer === null) post({ down: true });
      else await refuse(answer);
    },
  });
}

async function refuse(answer: Response): Promise<void> {
  const body = (await answer.json().catch(() => ({}))) as { detail?: string; hint?: string };
  post({ problem: { status: answer.status, detail: body.detail ?? answer.statusText, hint: body.hint ?? '' } });
}

async function read(): Promise<void> {
  if (reading) return;
  reading = true;
  try {
    const answer = await fetch(start.url);
    if (!answer.ok) return await refuse(answer);
    fill((await answer.json()) as Row[]);
    soon();
  } catch {
    post({ down: true });
  } finally {
    reading = false;
  }
}

onmessage = (e: MessageEvent<ToWorker>) => {
  if ('start' in e.data) {
    start = e.data.start;
    if (start.poll) void read();
    else follow();
  } else if ('poke' in e.data) {
    if (start?.poll) void read();
  } else {
    from = e.data.provisionalFrom;
    if (rows.size > 0) soon();
  }
};

