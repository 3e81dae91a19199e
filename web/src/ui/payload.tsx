// A payload with its fault marked.
import type { Text } from '../lib/api';
import { atFault, isText, shown } from '../lib/payload';

export function Payload(p: { of: Text; position?: number | null; label?: string }) {
  const parts = isText(p.of) ? atFault(p.of, p.position) : null;
  return (
    <pre class="payload" aria-label={p.label ?? 'Payload'} tabIndex={0}>
      {parts === null ? shown(p.of) : <>{parts[0]}<mark title="the fault">{parts[1] === '' ? '⏎' : parts[1]}</mark>{parts[2]}</>}
    </pre>
  );
}
