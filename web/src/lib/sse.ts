// Server-sent events over fetch: unlike EventSource it
// tells why a stream was refused.

export interface ServerEvent { event: string; data: string; id: string }

/** Takes pieces of a stream's text and gives the events that are complete. */
export class EventParser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private id = '';

  push(text: string): ServerEvent[] {
    const out: ServerEvent[] = [];
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.data.length > 0) out.push({ event: this.event || 'message', data: this.data.join('\n'), id: this.id });
        this.event = '';
        this.data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
      if (field === 'event') this.event = value;
      else if (field === 'data') this.data.push(value);
      else if (field === 'id') this.id = value;
    }
    return out;
  }
}

export interface StreamOptions {
  onEvent: (event: ServerEvent) => void;
  /** The stream is there; events follow. */
  onOpen?: () => void;
  /** It broke or was refused; it is tried again unless this gives false. */
  onDown: (answer: Response | null) => boolean | void | Promise<boolean | void>;
}

/** How long a broken stream waits before it is tried again, at most. */
const longestWait = 5000;
/** How long a stream may be silent: the server says something each 15 s. */
const longestSilence = 40000;

/** Keeps a stream open until the function that it gives is called. */
export function stream(url: string, o: StreamOptions): () => void {
  const over = new AbortController();
  let last = '';
  let tries = 0;
  async function once(): Promise<Response | null> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), longestSilence);
    const headers = new Headers({ Accept: 'text/event-stream' });
    if (last !== '') headers.set('Last-Event-ID', last);
    try {
      const answer = await fetch(url, { headers, cache: 'no-store', signal: AbortSignal.any([over.signal, silence.signal]) });
      if (!answer.ok || answer.body === null) return answer;
      o.onOpen?.();
      const parser = new EventParser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const piece = await reader.read();
        if (piece.done) return null;
        tries = 0;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), longestSilence);
        for (const e of parser.push(piece.value)) {
          if (e.id !== '') last = e.id;
          o.onEvent(e);
        }
      }
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
  void (async () => {
    while (!over.signal.aborted) {
      const answer = await once();
      if (over.signal.aborted || (await o.onDown(answer)) === false) return;
      const wait = Math.min(longestWait, 250 * 2 ** tries++);
      await new Promise((done) => setTimeout(done, wait));
    }
  })();
  // A page that is left may be kept with its connections, and a browser opens
  // six: those of pages that nobody sees would be missing.
  addEventListener('pagehide', () => over.abort(), { once: true });
  return () => over.abort();
}
