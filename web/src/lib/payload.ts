// Keys and payloads: what they are, and where a fault in them is.
import type { Text } from './api';

export function isText(t: Text): t is string { return typeof t === 'string'; }

export function shown(t: Text): string {
  if (t === null) return 'null';
  return typeof t === 'string' ? t : 'base64 ' + t.base64;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Splits a text at the fault that begins at a byte: what is before it, the
 * value that is at fault, and the rest. The value is a JSON string, number or
 * word, or of anything else one character.
 */
export function atFault(text: string, byte: number | undefined | null): [string, string, string] | null {
  if (byte === undefined || byte === null || byte < 0) return null;
  const bytes = encoder.encode(text);
  if (byte > bytes.length) return null;
  const start = decoder.decode(bytes.subarray(0, byte)).length;
  if (start >= text.length) return [text, '', ''];
  const end = start + valueLength(text.slice(start));
  return [text.slice(0, start), text.slice(start, end), text.slice(end)];
}

function valueLength(rest: string): number {
  const plain = /^(?:"(?:[^"\\]|\\.)*"?|[-+.\w]+)/.exec(rest);
  if (plain) return plain[0].length;
  if (rest[0] === '{' || rest[0] === '[') return bracketed(rest);
  return [...rest][0]?.length ?? 0;
}

/** The length of an object or array, or of all if it doesn't end. */
function bracketed(rest: string): number {
  let depth = 0, inString = false;
  for (let i = 0; i < rest.length; i++) {
    const c = rest[i]!;
    if (inString) {
      if (c === '\\') i++;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === '{' || c === '[') depth++;
    else if ((c === '}' || c === ']') && --depth === 0) return i + 1;
  }
  return rest.length;
}

/** A record for a foreign table to begin with: each of its columns, with a value of its type. */
export function template(columns: { name: string; type: string }[], now = new Date()): string {
  const fields = columns.map((c) => [c.name, example(c.type, now)] as const);
  return JSON.stringify(Object.fromEntries(fields), null, 2);
}

function example(type: string, now: Date): unknown {
  if (type.endsWith('[]')) return [];
  if (/^timestamp/.test(type)) return now.toISOString();
  if (/^date/.test(type)) return now.toISOString().slice(0, 10);
  if (/^time/.test(type)) return now.toISOString().slice(11, 19);
  if (/^(smallint|integer|bigint)/.test(type)) return 1;
  if (/^(real|double|numeric)/.test(type)) return 1.5;
  if (/^boolean/.test(type)) return true;
  if (/^json/.test(type)) return {};
  if (/^uuid/.test(type)) return '00000000-0000-4000-8000-000000000000';
  if (/^interval/.test(type)) return '1 minute';
  return 'text';
}
