// Numbers, times and durations as people read them.

const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 3 });

/** 12,345 below a hundred thousand, then 1.23 M. */
export function count(n: number): string {
  const a = Math.abs(n);
  if (a < 100_000) return whole.format(n);
  if (a < 1e6) return whole.format(n / 1e3) + ' k';
  if (a < 1e9) return three.format(n / 1e6) + ' M';
  return three.format(n / 1e9) + ' G';
}

export function rate(n: number): string {
  return (n > 0 && n < 10 ? three.format(n) : count(Math.round(n))) + '/s';
}

export function bytes(n: number): string {
  if (n < 1024) return whole.format(n) + ' B';
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let i = -1;
  do { n /= 1024; i++; } while (n >= 999.5 && i < units.length - 1);
  return three.format(n) + ' ' + units[i];
}

export function duration(seconds: number): string {
  const a = Math.abs(seconds);
  if (a === 0) return '0 s';
  if (a < 0.9995) return three.format(seconds * 1000) + ' ms';
  if (a < 119.5) return three.format(seconds) + ' s';
  if (a < 7199) return whole.format(seconds / 60) + ' min';
  if (a < 172_800) return three.format(seconds / 3600) + ' h';
  return whole.format(seconds / 86_400) + ' days';
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', timeZone: 'UTC' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });

/** 12:04:30 today, with the date otherwise. Times are UTC, as in the API. */
export function time(text: string | undefined, now = Date.now()): string {
  if (text === undefined) return '–';
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const date = day.format(at);
  return date === day.format(now) ? clock.format(at) : date + ' ' + clock.format(at);
}

export function ago(text: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(text)) / 1000);
  return seconds < 1.5 ? 'just now' : duration(Math.round(seconds)) + ' ago';
}

/** A span such as 12:00:00 – 12:05:00. */
export function span(start: string, end: string): string {
  const a = time(start), b = time(end);
  return a.slice(0, -8) === b.slice(0, -8) && a.length > 8 ? a + ' – ' + b.slice(-8) : a + ' – ' + b;
}

/** One value of a row as a cell shows it. */
export function cell(v: unknown): string {
  if (v === null || v === undefined) return 'null';
  if (typeof v === 'number') return Number.isInteger(v) ? String(v) : String(Number(v.toPrecision(12)));
  if (typeof v === 'object') return JSON.stringify(v);
  return String(v);
}

export function isNumeric(type: string): boolean {
  return /^(smallint|integer|bigint|real|double precision|numeric)/.test(type);
}

export function isTime(type: string): boolean {
  return /^(timestamp|date)/.test(type);
}

export function isText(type: string): boolean {
  return /^(text|character|uuid|boolean)/.test(type);
}
