// The public suite of the Durable Streams protocol, subscriptions included, against the server at CONFORMANCE_URL.
// Vitest runs this file; `run.mjs` starts the server and Vitest.
import { runConformanceTests } from '@durable-streams/server-conformance-tests'

runConformanceTests({ baseUrl: process.env.CONFORMANCE_URL, longPollTimeoutMs: 5_000, subscriptions: true })
