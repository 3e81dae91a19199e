// The relations, read again when a commit may have changed what is told of them.
import { computed, signal } from '@preact/signals';
import { get, type Table } from './api';
import { commitSeq, up } from './status';

export const tables = signal<Table[] | null>(null);
export const tablesError = signal<unknown>(null);

/** Changes each five commits, and when the server is back. */
export const commits = computed(() => (up.value === false ? -1 : Math.floor(commitSeq.value / 5)));

export async function readTables(): Promise<void> {
  try {
    tables.value = (await get<{ tables: Table[] }>('/v1/tables')).tables;
    tablesError.value = null;
  } catch (err) {
    tablesError.value = err;
  }
}
