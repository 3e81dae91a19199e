// A line chart, kept by uPlot.
import { useEffect, useRef } from 'preact/hooks';
import { dark } from './theme';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Line {
  label: string;
  /** The colour's place in the palette. */
  color: number;
  /** What may still change is dashed. */
  dashed?: boolean;
  fill?: boolean;
}

export interface ChartProps {
  label: string;
  /** Times in seconds, then a row of values for each line. */
  data: uPlot.AlignedData;
  lines: Line[];
  format: (v: number) => string;
  height?: number;
  /** Cursors of charts with the same group move together. */
  group?: string;
  /** The stretch of time that is shown; all of it without. */
  range?: [number, number];
  points?: boolean;
  /** Values are whole: the axis has no fractions. */
  whole?: boolean;
  /** Hides the legend where there is one line alone. */
  legend?: boolean;
}

const palettes = {
  light: ['#0b6670', '#b4561a', '#5b4bb0', '#2f7a3d', '#b0305c', '#8a6d00', '#2b62b8', '#6b6b6b'],
  dark: ['#5cc4cd', '#f0a36b', '#a99bf5', '#7ecb8c', '#f08bb0', '#d9bb4a', '#82b1f7', '#aaaaaa'],
};

export function color(i: number): string {
  return palettes[dark.value ? 'dark' : 'light'][i % 8]!;
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Zero unless values are below it: a plot of rates must not zoom into noise. */
function fromZero(_: uPlot, low: number | null, high: number | null): [number, number] {
  const top = high === null || high <= 0 ? 1 : high * 1.08;
  return [low !== null && low < 0 ? low * 1.08 : 0, top];
}

/** Steps of an axis without fractions. */
const wholes = Array.from({ length: 15 }, (_, k) => [1, 2, 5].map((n) => n * 10 ** k)).flat();

function options(p: ChartProps, width: number): uPlot.Options {
  const font = '11px system-ui, sans-serif';
  const axis = { stroke: token('--muted'), font, grid: { stroke: token('--grid'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: p.height ?? 150,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), 'Etc/UTC'),
    padding: [8, 8, 0, 0],
    cursor: { points: { size: 5 }, y: false, drag: { x: p.group === undefined, y: false }, ...(p.group ? { sync: { key: p.group } } : {}) },
    legend: { show: p.legend !== false, live: true },
    scales: { x: { time: true, ...(p.range ? { range: () => latest.get(p.label) ?? p.range! } : {}) }, y: { range: fromZero } },
    axes: [
      { ...axis, size: 24, space: 72, values: (_u, splits, _i, _s, step) => splits.map((s) => clock(s, step)) },
      { ...axis, size: 58, space: 32, ...(p.whole ? { incrs: wholes } : {}), values: (_u, splits) => splits.map((v) => (v === null ? '' : p.format(v))) },
    ],
    series: [
      { label: 'Time (UTC)', value: (_u, v) => (v === null ? '–' : clock(v, 0, true)) },
      ...p.lines.map((l): uPlot.Series => ({
        label: l.label,
        stroke: color(l.color),
        width: 1.5,
        fill: l.fill ? color(l.color) + '2e' : undefined,
        points: { show: p.points ?? false, size: 4 },
        spanGaps: false,
        value: (_u, v) => (v === null || v === undefined ? '–' : p.format(v)),
        dash: l.dashed ? [4, 4] : undefined,
      })),
    ],
  };
}

/** Takes newer data; who looks closer at a stretch goes on looking at it. */
function renew(u: uPlot, p: ChartProps): void {
  const before = u.data[0], { min, max } = u.scales.x!;
  const closer = p.range === undefined && before.length > 1 && min != null && max != null && (min > before[0]! || max < before[before.length - 1]!);
  u.setData(p.data, !closer);
  if (closer) u.setScale('x', { min, max });
}

/** The range of time-bound charts, by label: uPlot asks for it at each draw. */
const latest = new Map<string, [number, number]>();

function clock(seconds: number, step: number, whole = false): string {
  const iso = new Date(seconds * 1000).toISOString();
  if (whole) return iso.slice(0, 10) === new Date().toISOString().slice(0, 10) ? iso.slice(11, 19) : iso.slice(0, 10) + ' ' + iso.slice(11, 19);
  if (step >= 86400) return iso.slice(5, 10);
  return step >= 60 ? iso.slice(11, 16) : iso.slice(11, 19);
}

export function Chart(p: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shape = JSON.stringify([p.label, p.lines.map((l) => [l.label, l.color, l.dashed, l.fill]), p.height, p.points, dark.value]);
  if (p.range) latest.set(p.label, p.range);
  useEffect(() => {
    const host = box.current!;
    const u = new uPlot(options(p, host.clientWidth || 300), p.data, host);
    plot.current = u;
    const resized = new ResizeObserver(() => {
      if (host.clientWidth > 0 && host.clientWidth !== u.width) u.setSize({ width: host.clientWidth, height: p.height ?? 150 });
    });
    resized.observe(host);
    return () => {
      resized.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => {
    const began = performance.now();
    if (plot.current) renew(plot.current, p);
    performance.measure('chart', { start: began });
  }, [p.data]);
  return <div class="chart" ref={box} role="img" aria-label={p.label} />;
}
