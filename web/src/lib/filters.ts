// The API's filters, as the grid's controls make them.

export interface Filter { column: string; op: string; value: string }

export const operators: [string, string][] = [
  ['eq', '='], ['neq', '≠'], ['gt', '>'], ['gte', '≥'], ['lt', '<'], ['lte', '≤'], ['like', 'like'], ['ilike', 'ilike'], ['in', 'in'], ['is', 'is'],
];

const reserved = new Set(['select', 'order', 'limit', 'offset', 'and', 'or', 'not', 'cursor', 'final']);

/** Quotes a name or value inside of a tree. */
function quoted(s: string): string {
  return /[,.:()"\\]/.test(s) || s === '' ? '"' + s.replace(/[\\"]/g, '\\$&') + '"' : s;
}

/** One filter as a parameter: name and value. */
export function parameter(f: Filter): [string, string] {
  const value = f.op === 'in' ? '(' + f.value.split(',').map((v) => quoted(v.trim())).join(',') + ')' : f.value;
  // A column that is called like a parameter stands in a tree.
  if (reserved.has(f.column) || /[.:()>-]/.test(f.column)) {
    return ['and', `(${quoted(f.column)}.${f.op}.${f.op === 'in' || f.op === 'is' ? value : quoted(value)})`];
  }
  return [f.column, f.op + '.' + value];
}

export interface Question { table: string; filters: Filter[]; order?: { column: string; down: boolean }; limit?: number; final?: boolean; select?: string[] }

/** The address that answers a question. */
export function address(q: Question): string {
  const params = new URLSearchParams();
  if (q.select) params.set('select', q.select.map(quotedName).join(','));
  for (const f of q.filters) params.append(...parameter(f));
  if (q.final) params.set('final', 'true');
  if (q.order) params.set('order', quotedName(q.order.column) + (q.order.down ? '.desc' : '.asc'));
  if (q.limit !== undefined) params.set('limit', String(q.limit));
  const text = readable(params);
  return '/v1/tables/' + encodeURIComponent(q.table) + (text === '' ? '' : '?' + text);
}

/** A column's name as select and order take it. */
export function quotedName(name: string): string {
  return /^[\w$]+$/.test(name) ? name : '"' + name.replace(/[\\"]/g, '\\$&') + '"';
}

/** Escapes no more than it must: people read and copy these. */
function readable(params: URLSearchParams): string {
  return params.toString().replace(/%(2C|3A|28|29|2A|22)/g, (m) => (m === '%22' ? m : decodeURIComponent(m))).replace(/\+/g, '%20');
}

/** The same as a command. */
export function curl(origin: string, path: string, key: boolean): string {
  return 'curl ' + (key ? '-H "Authorization: Bearer $MILLSTREAM_API_KEY" ' : '') + "'" + (origin + path).replace(/'/g, "'\\''") + "'";
}
