// A table of rows.
import type { ComponentChildren } from 'preact';
import { cell } from '../lib/format';

export interface GridColumn<R> {
  name: string;
  title?: string;
  note?: string;
  numeric?: boolean;
  mono?: boolean;
  wide?: boolean;
  render?: (row: R) => ComponentChildren;
}

export interface Order { column: string; down: boolean }

export function Grid<R>(p: {
  label: string; columns: GridColumn<R>[]; rows: R[]; rowKey?: (row: R, i: number) => string | number;
  order?: Order; sort?: (column: string) => void; below?: (row: R) => ComponentChildren;
}) {
  return (
    <div class="gridbox" role="region" aria-label={p.label} tabIndex={0}>
      <table class="grid">
        <thead>
          <tr>
            {p.columns.map((c) => {
              const at = p.order?.column === c.name;
              const head = c.title ?? c.name;
              return (
                <th key={c.name} scope="col" class={c.numeric ? 'num' : undefined} title={c.note} aria-sort={at ? (p.order!.down ? 'descending' : 'ascending') : undefined}>
                  {p.sort ? <button type="button" onClick={() => p.sort!(c.name)}>{head}<span aria-hidden="true">{at ? (p.order!.down ? ' ↓' : ' ↑') : ''}</span></button> : head}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {p.rows.map((row, i) => {
            const key = p.rowKey ? p.rowKey(row, i) : i;
            const below = p.below?.(row);
            return [
              <tr key={key}>
                {p.columns.map((c) => <td key={c.name} class={(c.numeric ? 'num' : '') + (c.mono ? ' mono' : '') + (c.wide ? ' wide' : '')}>{c.render ? c.render(row) : value((row as Record<string, unknown>)[c.name])}</td>)}
              </tr>,
              below ? <tr key={key + '+'} class="below"><td colSpan={p.columns.length}>{below}</td></tr> : null,
            ];
          })}
        </tbody>
      </table>
    </div>
  );
}

export function value(v: unknown): ComponentChildren {
  return v === null || v === undefined ? <span class="null">null</span> : cell(v);
}
