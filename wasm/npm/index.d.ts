/** What a statement takes and gives: integers of at most 53 bits, text, blobs and null. */
export type Value = number | string | Uint8Array | null

/**
 * A tenant's database: any synchronous SQLite. It belongs to one engine alone, and is not in a transaction when it is
 * handed over.
 */
export interface Database {
  /**
   * Runs one statement with its parameters bound as ?1, ?2, … and gives the rows as arrays of columns. Whoever reads
   * them may stop early. Blobs may also come as ArrayBuffers.
   */
  run(sql: string, params: Value[]): Iterable<(Value | ArrayBuffer)[]>
  /**
   * Runs `work` in a transaction, nested when one is open: kept when `work` returns true, undone alone when it returns
   * false or throws; what it throws is thrown on. When this returns, an outermost transaction is on the disk. When it
   * throws, nothing that `work` wrote remains.
   */
  transaction(work: () => boolean): void
  /** Rows written since it was opened; each table row and each index entry counts. */
  written(): number
  /** Whether a transaction is open; leave it out where that cannot be known. */
  intact?(): boolean | undefined
  /** Called when the router closes. */
  close?(): void
}

/** JSON Schema, in the keywords that the schemas of entity types may use. */
export type Schema = boolean | Record<string, unknown>

/** What comes by webhooks from elsewhere: whoever takes it in appends it to `/_webhooks/{endpointKey}[/{bucket}]`. */
export interface WebhookSource {
  serviceId?: string
  webhookKey: string
  sourceType: 'webhook'
  endpointKey: string
  status: 'active' | 'disabled' | 'revoked'
  label: string
  description?: string
  /** Whether agents see it and may subscribe to it. */
  agentVisible: boolean
  buckets: {
    key: string
    label: string
    description?: string
    /** Its path below the source's, with `:name` for each parameter. */
    pathTemplate: string
    paramsSchema: Schema
    eventTypes?: string[]
    /** `condition` is what the `value` of an event must be to come through. */
    filters?: { key: string; label: string; description?: string; condition?: Schema }[]
  }[]
  updatedAt?: string
  revision: number
}

export type Permission = 'read' | 'write' | 'delete' | 'signal' | 'fork' | 'schedule' | 'spawn' | 'manage'

/** What somebody wants to do something with. `registration` is that of a type which does not exist yet. */
export type Resource =
  | { kind: 'entity'; url: string }
  | { kind: 'entity_type'; name: string }
  | { kind: 'registration'; name: string }
  | { kind: 'shared_state'; id: string }

/** Whether somebody may do something. */
export interface Question {
  tenant: string
  /** Who wants to: `user:alice`. */
  principal: string
  /** What that needs. */
  permission: Permission
  resource: Resource
  /** What owners and grants say. */
  decided: boolean
}

/**
 * Yes, no, or that it leaves the decision as it is. It is asked in the middle of commands and reads, so it answers at once,
 * from what it knows: a promise is no answer. Whatever it gives besides, or throws, denies, and is told to `log` once.
 * What it asks of the router is done after it has answered.
 */
export type Authorise = (question: Question) => boolean | undefined

export interface RouterOptions {
  /** Gives the database of a tenant, once, when its first request has been admitted. */
  open(tenant: string): Database | Promise<Database>

  // How callers are believed: exactly one of these four.

  /** Says who calls, as `user:alice`; nothing for nobody. What it throws is thrown by `fetch`. */
  authenticate?(request: Request, tenant: string): string | undefined | null | Promise<string | undefined | null>
  /** The text of a file of API keys. */
  apiKeys?: string
  /** The header in which a proxy, through which every request comes, says who calls. */
  trustedHeader?: string
  /** Development: everyone is who they say. */
  dev?: boolean

  /**
   * Has the last word on who may do what, after owners and grants: about everybody but built-in system principals
   * (`system:framework`, `system:auth-sync`, `system:dev-local`). Lists of entities, membership streams and shapes go by
   * owners and grants alone.
   */
  authorise?: Authorise

  /** The URL under which clients and agents reach this server; by default the origin of the last request. */
  publicUrl?: string
  /**
   * The hosts that webhooks may call by http and https wherever they are: each `HOST` or `HOST:PORT`, an IPv6 address in
   * brackets. Otherwise they go to public hosts by https, and in development to this machine too.
   */
  allowWebhooks?: string[]
  /** The path under which streams are served: `/`. */
  streamRoot?: string
  /** The webhook sources that agents may subscribe to; by default there are none. */
  webhookSources?: WebhookSource[]
  /** In development, a clock that only `POST /_reveille/dev/clock` moves. */
  virtual?: boolean
  /** How many fetches a tenant may have in flight at once: 64. */
  fetches?: number
  /** How long a long-poll waits, in milliseconds: 30,000. */
  longPoll?: number
  /** How long an SSE connection lives, in milliseconds: 60,000. */
  sse?: number
  /**
   * How many wakes an entity may begin in a minute before it is slowed down, with ten minutes' worth at once: 60; 0 for as
   * many as come.
   */
  wakesPerMinute?: number
  /** Makes outbound requests instead of the platform's `fetch`. */
  fetch?: typeof fetch
  /** Takes what goes wrong inside; `console.error` by default. */
  log?(message: unknown): void
}

export interface Router {
  /** Answers a request in a tenant, `default` when none is named. */
  fetch(request: Request, tenant?: string): Promise<Response>
  /** Opens a tenant before its first request, so that its timers run: what is due is done, what is not will be. */
  open(tenant?: string): Promise<void>
  /** Answers what has been accepted, ends live reads and closes the databases. */
  close(): Promise<void>
}

/** One engine a tenant, each with an instance and a database of its own. */
export function createRouter(options: RouterOptions): Router
