import { defineConfig, type Plugin } from 'vite';
import { fileURLToPath } from 'node:url';
// @ts-expect-error plain JavaScript, so that it needs no types of Node
import { sourceList } from './sources.js';

const folder = fileURLToPath(new URL('.', import.meta.url));

// Keeps with the build what it was built from.
const sources: Plugin = {
  name: 'sources',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'sources.sha256', source: sourceList(folder) });
  },
};

export default defineConfig({
  base: '/',
  plugins: [sources],
  resolve: { dedupe: ['preact'] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../internal/dashboard/dist',
    emptyOutDir: true,
    target: 'es2022',
    // What is small would be put into the page as data: the policy allows none.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  // `npx vite` in web/ with a pipeline on port 5000.
  server: { proxy: { '/v1': 'http://127.0.0.1:5000', '/health': 'http://127.0.0.1:5000' } },
});
