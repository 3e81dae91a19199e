// A program as a user writes it, against the client that is generated from the
// API's description. It must compile under --strict, and the marked lines must
// not: the compiler checks both.
import assert from 'node:assert/strict'
import createClient from 'openapi-fetch'
import type { components, paths } from './millstream.js'

const [api, key] = process.argv.slice(2)
const client = createClient<paths, 'application/json' | 'application/problem+json'>({ baseUrl: api!, headers: { 'X-API-Key': key! } })

type Minute = components['schemas']['rows_per_minute']

async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 100; i++) {
    const found = await ask()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the rows did not come')
}

const minutes: Minute[] = await until(async () => {
  const { data, error } = await client.GET('/v1/tables/per_minute', { params: { query: { order: 'window_start,kind', kind: 'in.(book,pen)' } } })
  assert.equal(error, undefined)
  return data && data.length === 3 ? data : undefined
})
const first = minutes[0]!
const kind: string | undefined = first.kind ?? undefined
const orders: number | undefined = first.orders ?? undefined
assert.equal(kind, 'book')
assert.equal(orders, 2)
assert.equal(first.amount, 20)
assert.equal(new Date(first.window_start!).toISOString(), '2026-01-01T12:00:00.000Z')
// @ts-expect-error there is no such column
void first.amout
// @ts-expect-error a count is no text
const wrong: string = first.orders
void wrong
// @ts-expect-error there is no such table
void client.GET('/v1/tables/per_hour')

const all = await client.GET('/v1/tables/all_orders', { params: { query: { select: 'id,tags,note', order: 'id', limit: 2 } } })
assert.deepEqual(all.data, [{ id: 1, tags: ['new', 'gift'], note: { by: 'ann' } }, { id: 2, tags: [], note: null }])

const tables = await client.GET('/v1/tables')
assert.deepEqual(tables.data!.tables!.map((t) => t.name).sort(), ['all_orders', 'kinds', 'per_minute'])

const refused = await client.GET('/v1/tables/per_minute', { params: { query: { select: 'amout' } } })
assert.equal(refused.response.status, 400)
assert.equal(refused.error!.code, 'MS7105')
assert.equal(refused.error!.hint, 'did you mean "amount"?')

const session = await client.GET('/v1/session')
assert.deepEqual(session.data!.scopes, ['ingest', 'read', 'admin'])
console.log('the generated client reads rows, and the compiler knows their columns')
