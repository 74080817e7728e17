// The last word of the hosts that tests/smoke/authorise.test.mjs asks. What it decides goes by names, whatever else a test
// calls its things.
export default function authorise({ tenant, principal, permission, resource, decided }) {
  const name = resource.url ?? resource.name ?? resource.id
  if (tenant !== 'default') throw new Error(`there is no tenant \`${tenant}\``)
  if (name.endsWith('closed')) return false
  if (name.endsWith('open') && permission === 'read') return true
  if (name.endsWith('broken')) throw new Error('it does not know')
  if (name.endsWith('late')) return Promise.resolve(true)
  if (name.endsWith('wrong')) return 'yes'
  if (name.endsWith('hidden') && resource.kind === 'entity_type') return false
  if (name.endsWith('mine') && resource.kind === 'registration') return decided && principal === 'user:bob'
  if (name.endsWith('board')) return principal === 'user:bob'
  return undefined
}
