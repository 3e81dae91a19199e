// How the pipeline stands, each second, and the samples of the last minutes.
import { computed, effect, signal } from '@preact/signals';
import { keyNumber, keyWanted, problemOf, protectedServer, type PipelineStatus, type Problem, type Sample } from './api';
import { stream } from './sse';

/** How many samples are kept: a quarter of an hour. */
const kept = 900;

export const status = signal<PipelineStatus | null>(null);
export const samples = signal<Sample[]>([]);
/** up: null until the first answer. */
export const up = signal<boolean | null>(null);
/** When the last status came, by this clock. */
export const heardAt = signal(0);
/** Why there is no status although the server answers. */
export const refused = signal<Problem | null>(null);

/** What is to be shown of the engine, in a word. */
export const state = computed(() => (up.value === false ? 'unreachable' : (status.value?.state ?? 'starting')));
/** The last commit's number: pages that can't be streamed read again when it moves. */
export const commitSeq = computed(() => status.value?.commit?.seq ?? 0);

/** Joins samples with newer ones; a server that began anew counts from one. */
export function join(have: Sample[], come: Sample[], most = kept): Sample[] {
  if (come.length === 0) return have;
  const first = come[0]!.number;
  const fresh = have.length > 0 && come[come.length - 1]!.number < have[have.length - 1]!.number;
  const base = fresh ? have : have.filter((s) => s.number < first);
  return [...base, ...come].slice(-most);
}

export function watchStatus(): void {
  let stop = () => {};
  effect(() => {
    keyNumber.value;
    stop();
    let begun = false;
    stop = stream('/v1/pipeline/live', {
      onOpen: () => { begun = false; },
      onEvent: (e) => {
        const { status: now, samples: more } = JSON.parse(e.data) as { status: PipelineStatus; samples: Sample[] };
        samples.value = begun ? join(samples.peek(), more) : whole(samples.peek(), more);
        begun = true;
        status.value = now;
        refused.value = null;
        heardAt.value = Date.now();
        up.value = true;
      },
      onDown: async (answer) => {
        if (answer === null) {
          up.value = false;
          return true;
        }
        up.value = true;
        refused.value = await problemOf(answer);
        if (answer.status === 401) {
          keyWanted.value = protectedServer.value = true;
          return false;
        }
        return true;
      },
    });
  });
}

/** The first event of a connection has all samples: those from before a restart of the server go before them. */
function whole(have: Sample[], come: Sample[]): Sample[] {
  if (come.length === 0) return have;
  const from = come[0]!.at;
  return [...have.filter((s) => s.at < from), ...come].slice(-kept);
}
