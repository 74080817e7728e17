// HTTP messages between the web's objects and the engine's plain values.

/** A request's parts as the engine takes them. */
export class Call {
  constructor(request) {
    const url = standard(request.url)
    const slash = url.indexOf('/', url.indexOf('://') + 3)
    const [target] = url.slice(slash).split('#', 1)
    const mark = target.indexOf('?')
    this.method = request.method
    this.origin = url.slice(0, slash)
    this.path = mark < 0 ? target : target.slice(0, mark)
    this.query = mark < 0 ? '' : target.slice(mark + 1)
    this.headers = lines(request.headers)
  }

  /** Sets a header that the caller has no say in; without a value it takes it away. */
  set(name, value) {
    const others = this.headers.split('\n').filter((line) => !line.startsWith(`${name}: `)).join('\n')
    this.headers = value ? `${others}${name}: ${value}\n` : others
  }
}

/** A URL as the standard has it: workerd's own parser leaves some of it as it came. */
function standard(url) {
  return /%2e|\\/i.test(url) ? new URL(url).href : url
}

/** A principal as a header can carry it, whatever its name. */
export function principalHeader(by) {
  return by && (by.startsWith('/principal/') ? by : `/principal/${encodeURIComponent(by)}`)
}

/** Headers as lines `name: value`. */
function lines(headers) {
  let text = ''
  for (const [name, value] of headers) text += `${name}: ${value}\n`
  return text
}

/** Lines `name: value` as pairs. */
export function pairs(text) {
  return text.split('\n').slice(0, -1).map((line) => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon), line.slice(colon + 2)]
  })
}

/** A whole response. */
export function whole({ status, headers, body }, method) {
  const list = pairs(headers)
  if (method === 'HEAD' || bodiless.has(status)) return new Response(null, { status, headers: list })
  list.push(['content-length', String(body.length)])
  return new Response(body, { status, headers: list })
}

const bodiless = new Set([101, 204, 205, 304])
