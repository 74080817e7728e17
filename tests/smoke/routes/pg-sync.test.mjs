// `POST /_electric/pg-sync/register` and `DELETE …/pg-sync-observations/{reference}` (control plane, sections 13 and 10.14).
// Refusals stand in the order of the checks.
import { alice, bob, ended, entities, nowhere, principals, stranger } from '../../harness/entity-route.mjs'
import { UUID } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const form = [400, INVALID, SCHEMA]
const options = (more) => ({ body: { options: { url: '{shape}', table: 'todos', ...more } } })
const wrong = (path, message) => [{ path, message }]

/** A shape; beside it, something that is none, something that fails, and nothing. */
async function shapes(w) {
  const [shape, other, failing] = [await w.shape(), await w.shape(), await w.shape()]
  other.fail((response) => response.writeHead(200).end('<html>'))
  failing.fail((response) => response.writeHead(500).end('o'.repeat(2_000)))
  const type = await w.type()
  const { url: his } = await w.spawn(type, 'his', {}, { as: bob })
  const { url: mine } = await w.spawn(type, 'mine', {}, { as: alice })
  return { shape: shape.url, other: other.url, origin: new URL(other.url).origin, failing: failing.url, his, mine }
}

const followed = { sourceRef: /^[0-9a-f]{16}$/, streamUrl: /^\/_electric\/pg-sync\/default\/[0-9a-f]{16}$/ }

route('POST /_electric/pg-sync/register', {
  scene: shapes,
  asks: { by: alice, ...options() },
  refusals: [
    ...bodies({ options: 1 }, wrong('/options', 'must be object')),
    ['no options', { body: { options: undefined } }, ...form, wrong('/', "must have required property 'options'")],
    ['no URL', options({ url: undefined }), ...form, wrong('/options', "must have required property 'url'")],
    ['no table', options({ table: undefined }), ...form, wrong('/options', "must have required property 'table'")],
    ['columns that are no list', options({ columns: 'id' }), ...form, wrong('/options/columns', 'must be array')],
    ['a condition that is no text', options({ where: 1 }), ...form, wrong('/options/where', 'must be string')],
    ['parameters that are no texts', options({ params: [1] }), ...form],
    ['a replica that is none', options({ replica: 'half' }), ...form],
    ['metadata that are no texts', { body: { metadata: { wakeId: 1 } } }, ...form, wrong('/metadata/wakeId', 'must be string')],
    ['a blank URL, before a blank table', options({ url: ' ', table: '' }), 400, INVALID, 'pgSync url must be non-empty'],
    ['a blank table, before a URL that is none', options({ url: 'nowhere', table: ' ' }), 400, INVALID, 'pgSync table must be non-empty'],
    ['a URL that is none', options({ url: 'nowhere' }), 400, INVALID, 'pgSync url "nowhere" is not a valid URL'],
    ['a database', options({ url: 'postgres://u:p@h/d' }), 400, INVALID, 'pgSync url "postgres:…" must be an HTTP(S) Electric shape endpoint, not a database connection string'],
    ['another’s entity', { body: { metadata: { entityUrl: '{his}' } } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to write {his}'],
    ['where the server may not call', options({ url: 'http://10.0.0.1/v1/shape' }), 400, INVALID, '`http://10.0.0.1` may not be called: it is not public; allow it with `--allow-webhook 10.0.0.1`'],
    ['where nobody answers', options({ url: 'http://127.0.0.1:1/v1/shape?secret=s' }), 400, INVALID, /^pgSync source at http:\/\/127\.0\.0\.1:1\/v1\/shape is unreachable: ./],
    ['a shape that refuses', options({ url: '{failing}' }), 400, INVALID, `pgSync source at {failing} rejected the shape request (500): ${'o'.repeat(500)}`],
    ['what is no shape', options({ url: '{other}?secret=s' }), 400, INVALID, 'pgSync source at {other} responded but is not a shape log (missing electric-handle header) — the Electric shape API is usually served at {origin}/v1/shape'],
  ],
  answers: [
    ['a shape', {}, 200, followed],
    ['the same again', { body: { metadata: { wakeId: 'w', runtimeConsumerId: 'c', streamPath: '/s' } } }, 200, followed],
    ['all that may be said', { body: { ...options({ table: ' todos ', columns: ['id', 'Done'], where: 'id > $1', params: { 1: '5' }, replica: 'full' }).body, metadata: { entityUrl: '{mine}', entityType: '{type}' } } }, 200, followed],
  ],
})

route('DELETE /_electric/entities/{type}/{id}/pg-sync-observations/{reference}', {
  scene: async (w) => ({ ...(await entities(w)), reference: '0123456789abcdef' }),
  asks: { by: alice },
  refusals: [...nowhere('reference'), stranger('write'), principals('unobserved a pg-sync source'), ended[0]],
  answers: [['what is not observed', {}, 200, { txid: UUID }]],
})
