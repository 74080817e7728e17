// A Worker of an application's own that has the last word.
import authorise from './authorise.js'
import worker, { Tenant as Reveille } from '../../../worker/worker.js'

export default worker

export class Tenant extends Reveille {
  authorise(question) {
    return authorise(question)
  }
}
