// Two consumers race for one wake. Whoever comes first, at any time one of them may write, and the other is told so:
// 401 for its write token, 409 for its claim.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, world } from '../harness/world.mjs'

const ROUNDS = 25
const note = (key) => [change('note', key, {})]
const both = (...calls) => Promise.all(calls)
const statuses = (answers) => answers.map((answer) => answer.status).sort()

/** Another process that has got the same notification. */
const twin = (wake) => Object.assign(Object.create(Object.getPrototypeOf(wake)), wake)

const transports = {
  async webhook(w) {
    const hook = await w.hook()
    return { policy: hook.policy, next: () => w.woken(hook), claim: (wake) => wake.claim().then(() => wake) }
  },
  async runner(w) {
    const runner = await w.runner()
    return { policy: runner.policy, next: async () => (await runner.tail())[0], claim: (event) => runner.claim(event), runner }
  },
}

/** An entity that is woken this way, and a consumer that hears of it. */
async function agent(t, transport) {
  const w = await world(t)
  await w.type()
  const consumer = await transports[transport](w)
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: consumer.policy })
  const notes = async () => (await w.events(url, 'note')).map((event) => event.key)
  return { w, url, notes, ...consumer }
}

/** Rounds of one entity: a message, and what two consumers do about it. */
async function rounds(subject, race) {
  for (let round = 0; round < ROUNDS; round++) {
    await subject.w.send(subject.url, round)
    await race(round, await subject.next())
  }
}

/** Ends a wake; nothing that anybody has got may then be of use. */
async function ends(wake, ...stale) {
  assert.equal((await wake.done()).json.next_wake, false)
  for (const one of [wake, ...stale]) {
    assert.equal((await one.write(note('stale'))).status, 401)
    assert.equal((await one.heartbeat()).status, 409)
  }
}

test('of two processes that claim one webhook, one may write', async (t) => {
  const subject = await agent(t, 'webhook')
  await rounds(subject, async (round, wake) => {
    const [a, b] = [wake, twin(wake)]
    await both(a.claim(), b.claim())
    const writes = await both(a.write(note(`${round}`)), b.write(note(`${round}`)))
    assert.deepEqual(statuses(writes), [204, 401])
    const [winner, loser] = writes[0].status === 204 ? [a, b] : [b, a]
    // It stays so until somebody claims again.
    assert.equal((await loser.write(note('stale'))).status, 401)
    await winner.append(note(`${round}`))
    await loser.claim()
    assert.deepEqual(statuses(await both(winner.write(note(`${round}`)), loser.write(note(`${round}`)))), [204, 401])
    loser.offset = await subject.w.tail(`${subject.url}/main`)
    await ends(loser, winner)
  })
  const each = Array.from({ length: ROUNDS }, (_, round) => Array(3).fill(`${round}`)).flat()
  assert.deepEqual(await subject.notes(), each)
})

test('of two processes of a runner that claim one event, one has the work', async (t) => {
  const subject = await agent(t, 'runner')
  await rounds(subject, async (round, event) => {
    const claims = await both(subject.runner.tryClaim(event), subject.runner.tryClaim(event))
    assert.deepEqual(statuses(claims), [200, 409])
    const refused = claims.find((claim) => claim.status === 409)
    assert.equal(refused.json.error.code, 'ALREADY_CLAIMED')
    const won = claims.find((claim) => claim.status === 200).json
    assert.equal(won.epoch, round + 1)
    const health = (await subject.w.get(`/_electric/runners/${subject.runner.id}/health`)).json
    assert.deepEqual(health.claims.active.map((claim) => claim.consumer_id), [won.consumerId])
    const proof = { headers: { authorization: `Bearer ${won.claimToken}` } }
    const acks = [{ path: won.streamPath, offset: won.streams[0].offset }]
    const done = await subject.w.post(new URL(won.callback).pathname, { epoch: won.epoch, acks, done: true }, proof)
    assert.equal(done.json.next_wake, false, done.text)
  })
})

for (const transport of Object.keys(transports)) {
  test(`${transport}: of two claim callbacks that race, the later one’s token writes`, async (t) => {
    const subject = await agent(t, transport)
    await rounds(subject, async (round, announced) => {
      const wake = await subject.claim(announced)
      const first = twin(wake)
      const [a, b] = [twin(wake), twin(wake)]
      // Who holds a token writes while others take it away.
      const answers = await both(a.claim(), first.write(note('first')), b.claim(), first.write(note('first')))
      for (const write of [answers[1], answers[3]]) assert.ok([204, 401].includes(write.status), `${write.status}`)
      assert.equal(new Set([first, a, b].map((one) => one.writeToken)).size, 3)
      assert.equal((await first.write(note('stale'))).status, 401)
      const writes = await both(a.write(note('x')), b.write(note('x')))
      assert.deepEqual(statuses(writes), [204, 401])
      const [winner, loser] = writes[0].status === 204 ? [a, b] : [b, a]
      winner.offset = await subject.w.tail(`${subject.url}/main`)
      await ends(winner, loser, first)
    })
    assert.ok(!(await subject.notes()).includes('stale'))
  })

  test(`${transport}: of two that say that they are done, one is`, async (t) => {
    const subject = await agent(t, transport)
    await rounds(subject, async (round, announced) => {
      const wake = await subject.claim(announced)
      const answers = await both(wake.done(), twin(wake).done())
      assert.deepEqual(statuses(answers), [200, 409])
      for (const { status, json } of answers) {
        if (status === 200) assert.deepEqual(json, { ok: true, next_wake: false })
        else assert.equal(json.error.code, 'FENCED')
      }
    })
  })

  test(`${transport}: a write that races with done is written or refused, and never half`, async (t) => {
    const subject = await agent(t, transport)
    const written = []
    await rounds(subject, async (round, announced) => {
      const wake = await subject.claim(announced)
      // Done acknowledges what it knows of; what came in between is its own and wakes nobody.
      const [write, done] = await both(wake.write(note(`${round}`)), twin(wake).done())
      assert.equal(done.status, 200, done.text)
      assert.ok([204, 401].includes(write.status), `${write.status}`)
      if (write.status === 204) written.push(`${round}`)
      if (done.json.next_wake) await (await subject.claim(await subject.next())).done()
    })
    assert.deepEqual(await subject.notes(), written)
  })

  test(`${transport}: a message that races with done is never lost`, async (t) => {
    const subject = await agent(t, transport)
    const { w, url } = subject
    await w.send(url, 'go')
    for (let round = 0; round < ROUNDS; round++) {
      const wake = await subject.claim(await subject.next())
      assert.equal(wake.body.epoch, round + 1, 'one wake a message')
      assert.equal((await both(wake.done(), w.send(url, round)))[0].status, 200)
    }
    const last = await subject.claim(await subject.next())
    await ends(last)
  })

  test(`${transport}: a heartbeat that races with the end of its lease keeps the claim or loses it`, async (t) => {
    const subject = await agent(t, transport)
    await rounds(subject, async (round, announced) => {
      const wake = await subject.claim(announced)
      await subject.w.advance(15_000)
      let beat
      const race = [async () => (beat = await wake.heartbeat()), () => subject.w.advance(15_000)]
      if (round % 2) race.reverse()
      await both(...race.map((run) => run()))
      if (beat.status === 200) return ends(wake)
      assert.equal(beat.json.error.code, 'FENCED')
      const next = await subject.claim(await subject.next())
      assert.equal(next.body.epoch, wake.body.epoch + 1)
      await ends(next, wake)
    })
  })

  test(`${transport}: a late done that races with the next claim does not end it`, async (t) => {
    const subject = await agent(t, transport)
    await rounds(subject, async (round, announced) => {
      const slow = await subject.claim(announced)
      await subject.w.advance(30_000)
      const again = await subject.next()
      const [late, next] = await both(slow.done(), subject.claim(again), slow.write(note('stale')), slow.heartbeat())
      assert.equal(late.status, 409)
      await ends(next, slow)
    })
    assert.deepEqual(await subject.notes(), [])
  })

  test(`${transport}: who is killed while others claim and write is dead`, async (t) => {
    const w = await world(t)
    await w.type()
    const consumer = await transports[transport](w)
    for (let round = 0; round < ROUNDS; round++) {
      const { url } = await w.spawn(w.name, `e${round}`, { dispatch_policy: consumer.policy, initialMessage: 'go' })
      const wake = await consumer.claim(await consumer.next())
      const again = wake.callback({ epoch: 1, wakeId: wake.body.wakeId })
      const [claim, write, killed] = await both(again, wake.write(note('n')), w.delete(`/_electric/entities${url}`))
      assert.equal(killed.status, 200, killed.text)
      assert.ok([200, 409].includes(claim.status), claim.text)
      assert.ok([204, 401, 409].includes(write.status), `${write.status}`)
      const written = (await w.events(url, 'note')).length
      const tokens = [wake.writeToken, claim.status === 200 ? claim.json.writeToken : 'none']
      for (wake.writeToken of tokens) {
        const late = await wake.write(note('late'))
        assert.ok([401, 409].includes(late.status), `${late.status}`)
      }
      assert.equal((await wake.heartbeat()).status, 409)
      assert.equal((await w.events(url, 'note')).length, written)
      assert.equal((await w.entity(url)).status, 'killed')
    }
  })
}
