// An object that has the last word, and calls itself in the middle of a question.

import worker, { Tenant as Reveille } from '../worker.js'

export default worker

export class Tenant extends Reveille {
  answers = []

  // A field, which is there only when the constructor of the class above has ended.
  authorise = ({ tenant, principal, permission, resource }) => {
    console.log(`asked: may ${principal} ${permission} in ${tenant}?`)
    if (permission !== 'read' || this.answers.length > 2) return undefined
    this.alarm()
    const headers = { 'electric-principal': 'user:alice' }
    this.answers.push(this.fetch(new Request(`http://object/_electric/entities${resource.url}`, { headers })))
    return principal === 'user:bob' ? true : undefined
  }

  async fetch(request) {
    if (!request.headers.has('x-test-answers')) return super.fetch(request)
    return Response.json((await Promise.all(this.answers)).map(({ status }) => status))
  }
}
