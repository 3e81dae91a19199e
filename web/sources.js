// The list of the dashboard's sources with their hashes, as sha256sum prints
// it: kept beside what was built from them, so that anyone can tell whether
// they belong together. internal/dashboard/dist_test.go compares it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const skipped = new Set(['node_modules', '.gitignore']);

function files(folder, below = '') {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = below === '' ? entry.name : below + '/' + entry.name;
    return entry.isDirectory() ? files(folder, path) : [path];
  });
}

export function sourceList(folder) {
  return files(folder)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((path) => createHash('sha256').update(readFileSync(join(folder, path))).digest('hex') + '  ' + path + '\n')
    .join('');
}
