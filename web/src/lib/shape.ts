// How a table is drawn: what of it is time, what a value, what tells lines apart.
import type { Table } from './api';
import { isNumeric, isText, isTime } from './format';

export interface Shape {
  /** The column on the x axis; '' where the table has no time: then it is bars. */
  x: string;
  /** Columns that can be drawn. */
  ys: string[];
  /** Columns whose values tell the lines apart. */
  groups: string[];
}

/** Gives how a table can be drawn, or null if it has no number. */
export function shapeOf(t: Pick<Table, 'columns' | 'key' | 'window_start' | 'window_end'>): Shape | null {
  const times = t.columns.filter((c) => isTime(c.type)).map((c) => c.name);
  const inKey = times.find((c) => t.key.includes(c));
  const x = t.window_start || t.window_end || inKey || times[0] || '';
  const numbers = t.columns.filter((c) => isNumeric(c.type)).map((c) => c.name);
  const values = numbers.filter((c) => !t.key.includes(c));
  const ys = values.length > 0 ? values : numbers;
  if (ys.length === 0) return null;
  const rest = t.key.filter((c) => c !== x && c !== t.window_start && c !== t.window_end);
  const groups = t.key.length > 0 && (x === '' || t.key.includes(x)) ? rest : t.columns.filter((c) => isText(c.type)).slice(0, 1).map((c) => c.name);
  return { x, ys, groups: groups.filter((c) => !ys.includes(c)) };
}

/** The most lines of one chart: more can't be told apart. */
export const mostLines = 8;

export interface Frame {
  lines: { label: string; group: number; provisional: boolean }[];
  data: [number[], ...(number | null)[][]];
  rows: number;
  /** How many groups there are; the lines are of the largest. */
  groups: number;
}

/**
 * Arranges rows as lines over a common time axis. Rows from provisionalFrom
 * (ms) on may still change: they make a line of their own, which begins at the
 * last final point so that the two join.
 */
export function arrange(rows: Iterable<{ at: number; y: number | null; group: string }>, provisionalFrom: number | null): Frame {
  const byGroup = new Map<string, Map<number, number | null>>();
  const times = new Set<number>();
  let n = 0;
  for (const r of rows) {
    if (Number.isNaN(r.at)) continue;
    n++;
    let line = byGroup.get(r.group);
    if (line === undefined) byGroup.set(r.group, (line = new Map()));
    line.set(r.at, r.y);
    times.add(r.at);
  }
  const largest = [...byGroup].sort((a, b) => b[1].size - a[1].size || (a[0] < b[0] ? -1 : 1)).slice(0, mostLines).sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const x = [...times].sort((a, b) => a - b);
  const from = provisionalFrom ?? Infinity;
  const frame: Frame = { lines: [], data: [x.map((t) => t / 1000)], rows: n, groups: byGroup.size };
  largest.forEach(([label, line], group) => {
    const done: (number | null)[] = [], open: (number | null)[] = [];
    let last = -1, any = false;
    x.forEach((t, i) => {
      const v = line.get(t);
      const has = v !== undefined && v !== null;
      done.push(has && t < from ? v : null);
      open.push(has && t >= from ? v : null);
      if (has && t < from) last = i;
      any ||= has && t >= from;
    });
    frame.lines.push({ label, group, provisional: false });
    frame.data.push(done);
    if (any) {
      if (last >= 0) open[last] = done[last]!;
      frame.lines.push({ label, group, provisional: true });
      frame.data.push(open);
    }
  });
  return frame;
}
