// The plots of the Pipeline page, from samples.
import type { Sample } from './api';

export type Series = (number | null)[];
export interface Plot { lines: string[]; data: [number[], ...Series[]] }

const steps = ['fence', 'rows', 'ledgers', 'state', 'commit_row', 'commit'];

function plot(samples: Sample[], lines: string[], values: (s: Sample) => (number | null)[]): Plot {
  const x: number[] = [];
  const ys: Series[] = lines.map(() => []);
  for (const s of samples) {
    x.push(Date.parse(s.at) / 1000);
    values(s).forEach((v, i) => ys[i]!.push(v));
  }
  return { lines, data: [x, ...ys] };
}

const perSecond = (n: number, s: Sample) => (s.seconds > 0 ? n / s.seconds : null);

export function rates(samples: Sample[]): Plot {
  return plot(samples, ['arrived', 'processed'], (s) => [perSecond(s.read, s), perSecond(s.records, s)]);
}

export function lag(samples: Sample[]): Plot {
  return plot(samples, ['records behind'], (s) => [s.lag_records]);
}

export function written(samples: Sample[]): Plot {
  return plot(samples, ['rows written'], (s) => [perSecond(s.rows, s)]);
}

export function refused(samples: Sample[]): Plot {
  return plot(samples, ['late', 'quarantined'], (s) => [perSecond(s.late, s), perSecond(s.quarantined, s)]);
}

/** The mean commit of each second: lines stand on each other, the topmost is the whole. */
export function durations(samples: Sample[]): Plot {
  const seen = new Set(samples.flatMap((s) => Object.keys(s.step_seconds ?? {})));
  const known = [...steps.filter((s) => seen.has(s)), ...[...seen].filter((s) => !steps.includes(s)).sort()];
  const p = plot(samples, known, (s) => {
    if (s.commits === 0) return known.map(() => null);
    let sum = 0;
    return known.map((step) => (sum += (s.step_seconds?.[step] ?? 0) / s.commits));
  });
  // The topmost first: what is drawn later stands in front.
  return { lines: p.lines.reverse(), data: [p.data[0], ...(p.data.slice(1) as Series[]).reverse()] };
}

export function byView(samples: Sample[], value: (v: Sample['views'][number]) => number | undefined): Plot {
  const names = [...new Set(samples.flatMap((s) => s.views.map((v) => v.name)))];
  return plot(samples, names, (s) => {
    const of = new Map(s.views.map((v) => [v.name, value(v)]));
    return names.map((n) => of.get(n) ?? null);
  });
}
