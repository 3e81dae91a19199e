import { describe, expect, test } from 'vitest';
import { address, curl, parameter } from '../src/lib/filters';
import { bytes, count, duration, rate, span } from '../src/lib/format';
import { depths, layers } from '../src/lib/graph';
import { atFault, template } from '../src/lib/payload';
import { durations, rates } from '../src/lib/plots';
import { arrange, mostLines, shapeOf } from '../src/lib/shape';
import { EventParser } from '../src/lib/sse';
import type { Sample } from '../src/lib/api';

describe('server-sent events', () => {
  const text = ': ping\n\nevent: upsert\nid: 7-x\ndata: {"a":\ndata: 1}\r\n\ndata:plain\n\n';
  const want = [{ event: 'upsert', data: '{"a":\n1}', id: '7-x' }, { event: 'message', data: 'plain', id: '7-x' }];
  test('whole', () => expect(new EventParser().push(text)).toEqual(want));
  test('cut at every place', () => {
    for (let i = 0; i <= text.length; i++) {
      const p = new EventParser();
      expect([...p.push(text.slice(0, i)), ...p.push(text.slice(i))]).toEqual(want);
    }
  });
});

describe('filters', () => {
  test('a parameter is a column', () => expect(parameter({ column: 'type', op: 'eq', value: 'a,b' })).toEqual(['type', 'eq.a,b']));
  test('but not of a reserved name', () => expect(parameter({ column: 'limit', op: 'gt', value: '1,"2' })).toEqual(['and', '(limit.gt."1,\\"2")']));
  test('lists are quoted', () => expect(parameter({ column: 'a', op: 'in', value: 'x, y.z' })).toEqual(['a', 'in.(x,"y.z")']));
  test('addresses can be read', () =>
    expect(address({ table: 'a b', filters: [{ column: 'at', op: 'gte', value: '2024-05-01T12:00:00+00:00' }], order: { column: 'A"b', down: true }, limit: 5, select: ['at', 'n'] }))
      .toBe('/v1/tables/a%20b?select=at,n&at=gte.2024-05-01T12:00:00%2B00:00&order=%22A%5C%22b%22.desc&limit=5'));
  test('commands survive quotes', () => expect(curl('http://h', "/v1/tables/a?b=eq.it's", true)).toBe(`curl -H "Authorization: Bearer $MILLSTREAM_API_KEY" 'http://h/v1/tables/a?b=eq.it'\\''s'`));
});

describe('shapes', () => {
  const c = (name: string, type: string) => ({ name, type, nullable: true });
  test('of a windowed view', () =>
    expect(shapeOf({ columns: [c('start', 'timestamp with time zone'), c('type', 'text'), c('mean', 'double precision'), c('n', 'bigint')], key: ['start', 'type'], window_start: 'start' }))
      .toEqual({ x: 'start', ys: ['mean', 'n'], groups: ['type'] }));
  test('of a view without time', () => expect(shapeOf({ columns: [c('type', 'text'), c('n', 'numeric(10,2)')], key: [] })).toEqual({ x: '', ys: ['n'], groups: ['type'] }));
  test('of a table without numbers', () => expect(shapeOf({ columns: [c('type', 'text')], key: [] })).toBeNull());
  test('what may change is a line of its own that joins', () => {
    const f = arrange([{ at: 1000, y: 1, group: 'a' }, { at: 3000, y: 3, group: 'a' }, { at: 2000, y: null, group: 'a' }, { at: 2000, y: 5, group: 'b' }], 3000);
    expect(f.lines).toEqual([{ label: 'a', group: 0, provisional: false }, { label: 'a', group: 0, provisional: true }, { label: 'b', group: 1, provisional: false }]);
    expect(f.data).toEqual([[1, 2, 3], [1, null, null], [1, null, 3], [null, 5, null]]);
  });
  test('the largest groups are drawn', () => {
    const rows = Array.from({ length: 20 }, (_, g) => Array.from({ length: g + 1 }, (_, i) => ({ at: i, y: 1, group: 'g' + g }))).flat();
    const f = arrange(rows, null);
    expect([f.groups, f.lines.length, f.rows]).toEqual([20, mostLines, 210]);
    expect(f.lines.map((l) => l.label)).toContain('g19');
  });
});

describe('payloads', () => {
  test('the fault is a value', () => expect(atFault('{"ä": "warm", "b": 1}', 7)).toEqual(['{"ä": ', '"warm"', ', "b": 1}']));
  test('a number, an object, the end, none', () => {
    expect(atFault('{"b": -1.5e3}', 6)?.[1]).toBe('-1.5e3');
    expect(atFault('{"b": {"c": "}"}} ', 6)?.[1]).toBe('{"c": "}"}');
    expect(atFault('{"b": ', 6)).toEqual(['{"b": ', '', '']);
    expect(atFault('{}', -1)).toBeNull();
  });
  test('templates fit their columns', () =>
    expect(JSON.parse(template([{ name: 'at', type: 'timestamp with time zone' }, { name: 'n', type: 'integer' }], new Date(0)))).toEqual({ at: '1970-01-01T00:00:00.000Z', n: 1 }));
});

describe('numbers', () => {
  test.each([[0, '0'], [1234, '1,234'], [123_456, '123 k'], [12_345_678, '12.3 M']])('%d', (n, s) => expect(count(n)).toBe(s));
  test.each([[0, '0 s'], [0.0023, '2.3 ms'], [0.9999, '1 s'], [12, '12 s'], [119, '119 s'], [600, '10 min'], [7200, '2 h']])('%d s', (n, s) => expect(duration(n)).toBe(s));
  test.each([[0, '0 B'], [1023, '1,023 B'], [1024, '1 KiB'], [1024 * 1023.9, '1 MiB']])('%d bytes', (n, s) => expect(bytes(n)).toBe(s));
  test('rates', () => expect([rate(0), rate(0.254), rate(200.4)]).toEqual(['0/s', '0.254/s', '200/s']));
  test('spans', () => expect(span('2024-05-01T12:00:00Z', '2024-05-01T12:01:00Z')).toBe('1 May 2024 12:00:00 – 12:01:00'));
});

describe('the graph', () => {
  test('layers avoid crossings', () =>
    expect(layers([{ id: 't1', layer: 0, from: [] }, { id: 't2', layer: 0, from: [] }, { id: 'b', layer: 1, from: ['t2'] }, { id: 'a', layer: 1, from: ['t1'] }])).toEqual([['t1', 't2'], ['a', 'b']]));
  test('views of views stand behind them', () =>
    expect([...depths(new Map([['x', ['v']], ['y', ['x', 'v']]]), (id) => (id === 'v' ? 1 : undefined))]).toEqual([['x', 2], ['y', 3]]));
});

describe('plots', () => {
  const sample = (more: Partial<Sample>): Sample => ({ number: 1, at: '1970-01-01T00:00:10Z', seconds: 2, read: 10, records: 8, bytes: 0, rows: 0, commits: 0, late: 0, quarantined: 0, lag_records: 0, lag_seconds: 0, views: [], ...more });
  test('rates are per second', () => expect(rates([sample({})]).data).toEqual([[10], [5], [4]]));
  test('steps stand on each other, a mean of the commits', () =>
    expect(durations([sample({ commits: 2, step_seconds: { rows: 4, fence: 2 } }), sample({})])).toEqual({ lines: ['rows', 'fence'], data: [[10, 10], [3, null], [1, null]] }));
});
