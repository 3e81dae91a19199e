// Asks what applications ask through supabase's postgrest-js, and compares
// with what the rows of test/postgrest/rows.sql give. The argument is the base
// URL of the tables: http://host:port/v1/tables.
import assert from 'node:assert/strict'
import { PostgrestClient } from '@supabase/postgrest-js'

const db = new PostgrestClient(process.argv[2])
const orders = () => db.from('orders')

// ids gives the ids of an answer that must have no error.
function ids({ data, error }) {
  assert.equal(error, null, JSON.stringify(error))
  return data.map((row) => row.id)
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const where = (test) => range(1, 60).filter(test)

const checks = {
  'all rows': async () => assert.deepEqual(ids(await orders().select().order('id')), range(1, 60)),
  'columns, alias, cast': async () => {
    const { data } = await orders().select('id,kind:type,amount::text').eq('id', 3)
    assert.deepEqual(data, [{ id: 3, kind: 'c', amount: '4.50' }])
  },
  'eq neq gt gte lt lte': async () => {
    assert.deepEqual(ids(await orders().select('id').eq('type', 'b').order('id')), where((i) => i % 4 === 2))
    assert.deepEqual(ids(await orders().select('id').neq('type', 'b').order('id')), where((i) => i % 4 === 1 || i % 4 === 3))
    assert.deepEqual(ids(await orders().select('id').gt('id', 50).lte('id', 55)), range(51, 55))
    assert.deepEqual(ids(await orders().select('id').gte('id', 50).lt('id', 55)), range(50, 54))
  },
  'like, ilike, of any and of all': async () => {
    assert.deepEqual(ids(await orders().select('id').like('note', 'note 1%').order('id')), where((i) => String(i).startsWith('1')))
    assert.deepEqual(ids(await orders().select('id').ilike('note', 'NOTE 2_').order('id')), range(20, 29))
    assert.deepEqual(ids(await orders().select('id').likeAnyOf('note', ['%7', '%8']).order('id')), where((i) => i % 10 === 7 || i % 10 === 8))
    assert.deepEqual(ids(await orders().select('id').likeAllOf('note', ['%1%', '%2']).order('id')), [12])
    assert.deepEqual(ids(await orders().select('id').ilikeAnyOf('note', ['NOTE 3', 'NOTE 4']).order('id')), [3, 4])
  },
  'regular expressions': async () => {
    assert.deepEqual(ids(await orders().select('id').regexMatch('note', '^note (7|9)$').order('id')), [7, 9])
    assert.deepEqual(ids(await orders().select('id').regexIMatch('note', '^NOTE 8$')), [8])
  },
  'is, isDistinct, not': async () => {
    assert.deepEqual(ids(await orders().select('id').is('type', null).order('id')), where((i) => i % 4 === 0))
    assert.deepEqual(ids(await orders().select('id').is('paid', true).order('id')), where((i) => i % 2 === 0))
    assert.deepEqual(ids(await orders().select('id').not('type', 'is', null).lt('id', 6)), [1, 2, 3, 5])
    assert.deepEqual(ids(await orders().select('id').isDistinct('type', 'b').lt('id', 5).order('id')), [1, 3, 4])
    assert.deepEqual(ids(await orders().select('id').not('id', 'in', '(1,2,3)').lt('id', 6)), [4, 5])
  },
  'in, with what needs quoting': async () => {
    assert.deepEqual(ids(await orders().select('id').in('id', [3, 5, 99]).order('id')), [3, 5])
    assert.deepEqual(ids(await orders().select('id').in('odd', ['a,b', 'say "hi"', '(x)']).lt('id', 5).order('id')), [1, 2, 3])
  },
  'contains, containedBy, overlaps': async () => {
    assert.deepEqual(ids(await orders().select('id').contains('tags', ['even']).lt('id', 5).order('id')), [2, 4])
    assert.deepEqual(ids(await orders().select('id').containedBy('tags', ['odd', 't1']).lt('id', 12).order('id')), [1, 7])
    assert.deepEqual(ids(await orders().select('id').overlaps('tags', ['t0', 'none']).lt('id', 7).order('id')), [3, 6])
    assert.deepEqual(ids(await orders().select('id').contains('doc', { n: 7 })), [7])
  },
  ranges: async () => {
    assert.deepEqual(ids(await orders().select('id').rangeLt('span', '[10,12)').order('id')), range(1, 5))
    assert.deepEqual(ids(await orders().select('id').rangeGt('span', '[50,56)').order('id')), range(56, 60))
    assert.deepEqual(ids(await orders().select('id').rangeAdjacent('span', '[20,30)').order('id')), [15, 30])
    assert.deepEqual(ids(await orders().select('id').rangeGte('span', '[58,60)').order('id')), range(58, 60))
    assert.deepEqual(ids(await orders().select('id').rangeLte('span', '[1,8)').order('id')), range(1, 3))
    assert.deepEqual(ids(await orders().select('id').overlaps('span', '[10,11)').order('id')), range(6, 10))
  },
  'or, and, nested': async () => {
    assert.deepEqual(ids(await orders().select('id').or('id.eq.1,and(id.gt.57,paid.is.true)').order('id')), [1, 58, 60])
    assert.deepEqual(ids(await orders().select('id').or('id.eq.2,id.in.(4,6)').lt('id', 6).order('id')), [2, 4])
    assert.deepEqual(ids(await orders().select('id').match({ type: 'a', paid: false }).lt('id', 10).order('id')), [1, 5, 9])
    assert.deepEqual(ids(await orders().select('id').filter('id', 'eq', 9)), [9])
  },
  'paths into JSON': async () => {
    const { data, error } = await orders().select('id, n:doc->n, doc->user->>name').eq('doc->user->>name', 'u1').lt('id', 8).order('doc->n', { ascending: false })
    assert.equal(error, null, JSON.stringify(error))
    assert.deepEqual(data, [{ id: 7, n: 7, name: 'u1' }, { id: 4, n: 4, name: 'u1' }, { id: 1, n: 1, name: 'u1' }])
  },
  'order with nulls, limit, range': async () => {
    assert.deepEqual(ids(await orders().select('id').order('type', { ascending: false, nullsFirst: false }).order('id').limit(2)), [3, 7])
    assert.deepEqual(ids(await orders().select('id').order('type', { nullsFirst: true }).order('id').limit(2)), [4, 8])
    assert.deepEqual(ids(await orders().select('id').order('id').range(10, 14)), range(11, 15))
  },
  counts: async () => {
    const exact = await orders().select('id', { count: 'exact' }).lt('id', 31).order('id').range(0, 4)
    assert.equal(exact.count, 30)
    assert.equal(exact.status, 206)
    assert.deepEqual(ids(exact), range(1, 5))
    const head = await orders().select('*', { count: 'exact', head: true })
    assert.equal(head.count, 60)
    assert.equal(head.data, null)
    assert.equal((await orders().select('id', { count: 'planned' })).count, 60)
    assert.equal((await orders().select('id', { count: 'estimated' })).count, 60)
  },
  'beyond the end': async () => {
    const { error, status } = await orders().select('id', { count: 'exact' }).range(100, 110)
    assert.equal(status, 416)
    assert.match(error.message, /begins after row 100/)
  },
  'single, maybeSingle': async () => {
    assert.deepEqual((await orders().select('id').eq('id', 7).single()).data, { id: 7 })
    assert.equal((await orders().select('id').eq('id', 99).maybeSingle()).data, null)
    assert.deepEqual((await orders().select('id').eq('id', 9).maybeSingle()).data, { id: 9 })
    const many = await orders().select('id').single()
    assert.equal(many.status, 406)
    assert.ok(many.error.message)
  },
  aggregates: async () => {
    const { data, error } = await orders().select('type, id.sum(), n:count()').not('type', 'is', null).order('type')
    assert.equal(error, null, JSON.stringify(error))
    assert.deepEqual(data, [{ type: 'a', sum: 435, n: 15 }, { type: 'b', sum: 450, n: 15 }, { type: 'c', sum: 465, n: 15 }])
  },
  'CSV, stripped nulls': async () => {
    assert.equal((await orders().select('id,type').lte('id', 4).order('id').csv()).data.trimEnd(), 'id,type\n1,a\n2,b\n3,c\n4,')
    assert.deepEqual((await orders().select('id,type').eq('id', 4).stripNulls()).data, [{ id: 4 }])
  },
  'an error has code, message and hint': async () => {
    const { data, error, status } = await orders().select('amout')
    assert.equal(data, null)
    assert.equal(status, 400)
    assert.equal(error.code, 'MS7105')
    assert.equal(error.message, 'orders has no column "amout"')
    assert.equal(error.hint, 'did you mean "amount"?')
    assert.equal((await db.from('nowhere').select()).status, 404)
  },
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  try {
    await check()
    console.log(`ok    ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL  ${name}: ${error.message}`)
  }
}
console.log(`${Object.keys(checks).length - failed} of ${Object.keys(checks).length}`)
process.exit(failed > 0 ? 1 : 0)
