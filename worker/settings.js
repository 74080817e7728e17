// What the environment says, as settings for the gate at the entrance and for the engine of an object.
//
//   REVEILLE_MODE                  `dev`: open, everyone is who they say; `serve`: the default
//   REVEILLE_API_KEYS              serve: the text of a key file, a secret: a key and a principal on each line
//   REVEILLE_TRUST_PROXY_HEADER    serve: the header in which a proxy, through which every request comes, says who calls
//   REVEILLE_PUBLIC_URL            the URL under which clients and agents reach this server
//   REVEILLE_ALLOW_WEBHOOKS        the hosts that webhooks may call by http and https wherever they are: each HOST or
//                                  HOST:PORT, parted by commas or spaces; otherwise public hosts by https
//   REVEILLE_STREAM_ROOT           the path under which streams are served; `/` by default
//   REVEILLE_LONG_POLL             how long a long-poll waits, in milliseconds; 30000 by default
//   REVEILLE_WAKES_PER_MINUTE      how many wakes an entity may begin in a minute before it is slowed down, with ten
//                                  minutes' worth at once; 60 by default, 0 for as many as come
//   REVEILLE_WEBHOOK_SOURCES       the webhook sources that agents may subscribe to: their catalogue, as JSON
//   REVEILLE_VIRTUAL               dev: any text gives a clock that only its development route moves
//   REVEILLE_TENANT                the tenant's name; `{host}` in it stands for the host name that was asked for
//
// One deployment believes all its callers by the same keys, so tenants told apart by host name share their users. To
// keep users apart, deploy once for each.

// Cloudflare lets an object have six connections open at once.
const FETCHES = 6
// A wake costs about four times what it does natively.
const FAN_OUT = 64

/** Where an object learns who calls: the entrance sets it, whatever the caller sent. */
export const PRINCIPAL = 'reveille-principal'

/** The settings of the gate at the entrance. Throws with words for whoever deploys it. */
export function entranceSettings(env) {
  const common = {
    publicUrl: env.REVEILLE_PUBLIC_URL,
    fetches: FETCHES,
    fanOut: FAN_OUT,
    allowWebhooks: env.REVEILLE_ALLOW_WEBHOOKS,
    streamRoot: env.REVEILLE_STREAM_ROOT,
    longPoll: env.REVEILLE_LONG_POLL ? Number(env.REVEILLE_LONG_POLL) : undefined,
    webhookSources: env.REVEILLE_WEBHOOK_SOURCES,
    wakesPerMinute: env.REVEILLE_WAKES_PER_MINUTE ? Number(env.REVEILLE_WAKES_PER_MINUTE) : undefined,
  }
  const [apiKeys, trustedHeader] = [env.REVEILLE_API_KEYS || undefined, env.REVEILLE_TRUST_PROXY_HEADER || undefined]
  switch (env.REVEILLE_MODE || 'serve') {
    case 'dev':
      return { ...common, dev: true, virtualStart: env.REVEILLE_VIRTUAL ? 0 : undefined }
    case 'serve':
      if (!apiKeys === !trustedHeader) {
        throw new Error('set exactly one of REVEILLE_API_KEYS and REVEILLE_TRUST_PROXY_HEADER, or REVEILLE_MODE to `dev`')
      }
      return { ...common, dev: false, apiKeys, trustedHeader }
    default:
      throw new Error(`REVEILLE_MODE is \`${env.REVEILLE_MODE}\`; it may be \`dev\` or \`serve\``)
  }
}

/** The settings of an object: it believes the entrance. */
export function objectSettings(env) {
  const { apiKeys, ...settings } = entranceSettings(env)
  return settings.dev ? settings : { ...settings, trustedHeader: PRINCIPAL }
}

/** The name of the tenant that a request is for. */
export function tenantName(env, request) {
  return (env.REVEILLE_TENANT || 'default').replaceAll('{host}', new URL(request.url).hostname)
}
