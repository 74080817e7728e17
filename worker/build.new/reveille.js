/** A new instance of the compiled `module`, with memory of its own. */
export function instantiate(module) {
  let wasm_bindgen = (function(exports) {
      let script_src;
      if (typeof document !== 'undefined' && document.currentScript !== null) {
          script_src = new URL(document.currentScript.src, location.href).toString();
      }

      /**
       * The gate of a host.
       */
      class Gate {
          __destroy_into_raw() {
              const ptr = this.__wbg_ptr;
              this.__wbg_ptr = 0;
              GateFinalization.unregister(this);
              return ptr;
          }
          free() {
              const ptr = this.__destroy_into_raw();
              wasm.__wbg_gate_free(ptr, 0);
          }
          /**
           * Calls `admitted` of `answer`, or `respond` with the refusal.
           * @param {string} method
           * @param {string} path
           * @param {string} headers
           * @param {any} answer
           */
          admit(method, path, headers, answer) {
              let ptr0, len0, ptr1, len1, ptr2, len2;
              try {
                  ptr0 = passStringToWasm0(method, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len0 = WASM_VECTOR_LEN;
                  ptr1 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len1 = WASM_VECTOR_LEN;
                  ptr2 = passStringToWasm0(headers, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len2 = WASM_VECTOR_LEN;
              } catch (e) {
                  if (ptr2) { wasm.__wbindgen_free(ptr2, len2 * 1, 1); }
                  if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
                  if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
                  throw e;
              }
              wasm.gate_admit(this.__wbg_ptr, ptr0, len0, ptr1, len1, ptr2, len2, answer);
          }
          /**
           * The 500 to a command that trapped. Nothing of it was kept.
           * @param {string} path
           * @param {any} answer
           */
          broken(path, answer) {
              const ptr0 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
              const len0 = WASM_VECTOR_LEN;
              wasm.gate_broken(this.__wbg_ptr, ptr0, len0, answer);
          }
          /**
           * The 503 to a request that was not served. Nothing of it was kept; trying again is safe.
           * @param {string} why
           * @param {string} path
           * @param {any} answer
           */
          busy(why, path, answer) {
              let ptr0, len0, ptr1, len1;
              try {
                  ptr0 = passStringToWasm0(why, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len0 = WASM_VECTOR_LEN;
                  ptr1 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len1 = WASM_VECTOR_LEN;
              } catch (e) {
                  if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
                  if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
                  throw e;
              }
              wasm.gate_busy(this.__wbg_ptr, ptr0, len0, ptr1, len1, answer);
          }
          /**
           * A gate that believes callers as `settings` say.
           *
           * # Errors
           * When the settings do not say how, or the keys cannot be read.
           * @param {any} settings
           */
          constructor(settings) {
              const ret = wasm.gate_new(settings);
              if (ret[2]) {
                  throw takeFromExternrefTable0(ret[1]);
              }
              this.__wbg_ptr = ret[0];
              GateFinalization.register(this, this.__wbg_ptr, this);
              return this;
          }
          /**
           * The answer to a body that is longer than its limit.
           * @param {string} path
           * @param {any} answer
           */
          tooLarge(path, answer) {
              const ptr0 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
              const len0 = WASM_VECTOR_LEN;
              wasm.gate_tooLarge(this.__wbg_ptr, ptr0, len0, answer);
          }
          /**
           * The answer to a body that does not come.
           * @param {string} path
           * @param {any} answer
           */
          tooSlow(path, answer) {
              const ptr0 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
              const len0 = WASM_VECTOR_LEN;
              wasm.gate_tooSlow(this.__wbg_ptr, ptr0, len0, answer);
          }
      }
      if (Symbol.dispose) Gate.prototype[Symbol.dispose] = Gate.prototype.free;
      exports.Gate = Gate;

      /**
       * The reading side of a tenant. Times are milliseconds since the epoch.
       */
      class Reader {
          static __wrap(ptr) {
              const obj = Object.create(Reader.prototype);
              obj.__wbg_ptr = ptr;
              ReaderFinalization.register(obj, obj.__wbg_ptr, obj);
              return obj;
          }
          __destroy_into_raw() {
              const ptr = this.__wbg_ptr;
              this.__wbg_ptr = 0;
              ReaderFinalization.unregister(this);
              return ptr;
          }
          free() {
              const ptr = this.__destroy_into_raw();
              wasm.__wbg_reader_free(ptr, 0);
          }
          /**
           * Offers the last notice to a live read; false when it must ask with `next`.
           * @param {number} live
           * @param {number} now
           * @param {any} reading
           * @returns {boolean}
           */
          accept(live, now, reading) {
              const ret = wasm.reader_accept(this.__wbg_ptr, live, now, reading);
              return ret !== 0;
          }
          /**
           * Forgets a live read. Its number may name another afterwards.
           * @param {number} live
           */
          forget(live) {
              wasm.reader_forget(this.__wbg_ptr, live);
          }
          /**
           * Hands the next piece of a live read to `reading`.
           * @param {number} live
           * @param {number} now
           * @param {any} reading
           */
          next(live, now, reading) {
              wasm.reader_next(this.__wbg_ptr, live, now, reading);
          }
          /**
           * Takes what has moved, to be offered to the live reads that wait for its topic.
           * @param {number} topic
           * @param {number} from
           * @param {number} to
           * @param {Uint8Array | number[] | null} [bytes]
           */
          notice(topic, from, to, bytes) {
              const val2 = +topic;
              const val3 = +from;
              const val4 = +to;
              var ptr0 = isLikeNone(bytes) ? 0 : passArray8ToWasm0(bytes, wasm.__wbindgen_malloc);
              var len0 = WASM_VECTOR_LEN;
              wasm.reader_notice(this.__wbg_ptr, val2, val3, val4, ptr0, len0);
          }
          /**
           * Reads `database`, which a `Tenant` has opened before.
           *
           * # Errors
           * When the settings are wrong.
           * @param {any} database
           * @param {any} settings
           * @returns {Reader}
           */
          static open(database, settings) {
              const ret = wasm.reader_open(database, settings);
              if (ret[2]) {
                  throw takeFromExternrefTable0(ret[1]);
              }
              return Reader.__wrap(ret[0]);
          }
          /**
           * Answers a request on a read route by `respond` of `reading`, or by `live`; false when its route writes.
           * @param {string} method
           * @param {string} path
           * @param {string} query
           * @param {string} headers
           * @param {Uint8Array | number[]} body
           * @param {string | null | undefined} by
           * @param {string | null | undefined} origin
           * @param {number} now
           * @param {any} reading
           * @returns {boolean}
           */
          read(method, path, query, headers, body, by, origin, now, reading) {
              const val8 = +now;
              let ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, ptr4, len4, ptr5, len5, ptr6, len6;
              try {
                  ptr0 = passStringToWasm0(method, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len0 = WASM_VECTOR_LEN;
                  ptr1 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len1 = WASM_VECTOR_LEN;
                  ptr2 = passStringToWasm0(query, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len2 = WASM_VECTOR_LEN;
                  ptr3 = passStringToWasm0(headers, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len3 = WASM_VECTOR_LEN;
                  ptr4 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
                  len4 = WASM_VECTOR_LEN;
                  ptr5 = isLikeNone(by) ? 0 : passStringToWasm0(by, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len5 = WASM_VECTOR_LEN;
                  ptr6 = isLikeNone(origin) ? 0 : passStringToWasm0(origin, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len6 = WASM_VECTOR_LEN;
              } catch (e) {
                  if (ptr6) { wasm.__wbindgen_free(ptr6, len6 * 1, 1); }
                  if (ptr5) { wasm.__wbindgen_free(ptr5, len5 * 1, 1); }
                  if (ptr4) { wasm.__wbindgen_free(ptr4, len4 * 1, 1); }
                  if (ptr3) { wasm.__wbindgen_free(ptr3, len3 * 1, 1); }
                  if (ptr2) { wasm.__wbindgen_free(ptr2, len2 * 1, 1); }
                  if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
                  if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
                  throw e;
              }
              const ret = wasm.reader_read(this.__wbg_ptr, ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, ptr4, len4, ptr5, len5, ptr6, len6, val8, reading);
              return ret !== 0;
          }
      }
      if (Symbol.dispose) Reader.prototype[Symbol.dispose] = Reader.prototype.free;
      exports.Reader = Reader;

      /**
       * A tenant's engine. Times are milliseconds since the epoch.
       */
      class Tenant {
          static __wrap(ptr) {
              const obj = Object.create(Tenant.prototype);
              obj.__wbg_ptr = ptr;
              TenantFinalization.register(obj, obj.__wbg_ptr, obj);
              return obj;
          }
          __destroy_into_raw() {
              const ptr = this.__wbg_ptr;
              this.__wbg_ptr = 0;
              TenantFinalization.unregister(this);
              return ptr;
          }
          free() {
              const ptr = this.__destroy_into_raw();
              wasm.__wbg_tenant_free(ptr, 0);
          }
          /**
           * Puts the answer to a fetch into the next batch. `stale` says that an earlier instance asked for it: then what
           * only that instance's memory knew is gone, and its name may mean something else by now.
           * @param {string} effect
           * @param {boolean} stale
           * @param {number} status
           * @param {Uint8Array | number[]} body
           */
          answered(effect, stale, status, body) {
              const val3 = +stale;
              const val4 = +status;
              let ptr0, len0, ptr1, len1;
              try {
                  ptr0 = passStringToWasm0(effect, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len0 = WASM_VECTOR_LEN;
                  ptr1 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
                  len1 = WASM_VECTOR_LEN;
              } catch (e) {
                  if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
                  if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
                  throw e;
              }
              wasm.tenant_answered(this.__wbg_ptr, ptr0, len0, val3, val4, ptr1, len1);
          }
          /**
           * The first tick after a trap.
           * @param {number} budget
           * @param {number} now
           * @param {Uint8Array | number[]} entropy
           * @param {any} out
           */
          carefulTick(budget, now, entropy, out) {
              const val2 = +budget;
              const val3 = +now;
              const ptr0 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
              const len0 = WASM_VECTOR_LEN;
              wasm.tenant_carefulTick(this.__wbg_ptr, val2, val3, ptr0, len0, out);
          }
          /**
           * How many fetches are in flight.
           * @returns {number}
           */
          inFlight() {
              const ret = wasm.tenant_inFlight(this.__wbg_ptr);
              return ret >>> 0;
          }
          /**
           * In how many milliseconds the next timer is due. A store that cannot say is asked again by the tick that follows
           * at once.
           * @param {number} now
           * @returns {number | undefined}
           */
          nextDeadline(now) {
              const ret = wasm.tenant_nextDeadline(this.__wbg_ptr, now);
              return ret[0] === 0 ? undefined : ret[1];
          }
          /**
           * The engine's own time: the host's, or the virtual clock's.
           * @param {number} now
           * @returns {number}
           */
          now(now) {
              const ret = wasm.tenant_now(this.__wbg_ptr, now);
              return ret;
          }
          /**
           * Opens the engine on its database, with 32 bytes of entropy.
           *
           * # Errors
           * When the settings are wrong or the database cannot be used; the message says which.
           * @param {any} database
           * @param {any} settings
           * @param {number} now
           * @param {Uint8Array | number[]} entropy
           * @returns {Tenant}
           */
          static open(database, settings, now, entropy) {
              const val2 = +now;
              const ptr0 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
              const len0 = WASM_VECTOR_LEN;
              const ret = wasm.tenant_open(database, settings, val2, ptr0, len0);
              if (ret[2]) {
                  throw takeFromExternrefTable0(ret[1]);
              }
              return Tenant.__wrap(ret[0]);
          }
          /**
           * Puts a request into the next batch.
           * @param {number} ticket
           * @param {string} method
           * @param {string} path
           * @param {string} query
           * @param {string} headers
           * @param {Uint8Array | number[]} body
           * @param {string | null} [by]
           * @param {string | null} [origin]
           */
          request(ticket, method, path, query, headers, body, by, origin) {
              const val8 = +ticket;
              let ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, ptr4, len4, ptr5, len5, ptr6, len6;
              try {
                  ptr0 = passStringToWasm0(method, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len0 = WASM_VECTOR_LEN;
                  ptr1 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len1 = WASM_VECTOR_LEN;
                  ptr2 = passStringToWasm0(query, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len2 = WASM_VECTOR_LEN;
                  ptr3 = passStringToWasm0(headers, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len3 = WASM_VECTOR_LEN;
                  ptr4 = passArray8ToWasm0(body, wasm.__wbindgen_malloc);
                  len4 = WASM_VECTOR_LEN;
                  ptr5 = isLikeNone(by) ? 0 : passStringToWasm0(by, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len5 = WASM_VECTOR_LEN;
                  ptr6 = isLikeNone(origin) ? 0 : passStringToWasm0(origin, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len6 = WASM_VECTOR_LEN;
              } catch (e) {
                  if (ptr6) { wasm.__wbindgen_free(ptr6, len6 * 1, 1); }
                  if (ptr5) { wasm.__wbindgen_free(ptr5, len5 * 1, 1); }
                  if (ptr4) { wasm.__wbindgen_free(ptr4, len4 * 1, 1); }
                  if (ptr3) { wasm.__wbindgen_free(ptr3, len3 * 1, 1); }
                  if (ptr2) { wasm.__wbindgen_free(ptr2, len2 * 1, 1); }
                  if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
                  if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
                  throw e;
              }
              wasm.tenant_request(this.__wbg_ptr, val8, ptr0, len0, ptr1, len1, ptr2, len2, ptr3, len3, ptr4, len4, ptr5, len5, ptr6, len6);
          }
          /**
           * Runs what is queued as one batch and hands everything to `out`.
           * @param {number} now
           * @param {Uint8Array | number[]} entropy
           * @param {any} out
           */
          run(now, entropy, out) {
              const val2 = +now;
              const ptr0 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
              const len0 = WASM_VECTOR_LEN;
              wasm.tenant_run(this.__wbg_ptr, val2, ptr0, len0, out);
          }
          /**
           * From now on no fetch starts: the host is about to close.
           */
          stop() {
              wasm.tenant_stop(this.__wbg_ptr);
          }
          /**
           * Puts a tick of at most `budget` timers into the next batch.
           * @param {number} budget
           */
          tick(budget) {
              wasm.tenant_tick(this.__wbg_ptr, budget);
          }
          /**
           * Puts into the next batch that a stream was used.
           * @param {number} stream
           */
          touch(stream) {
              wasm.tenant_touch(this.__wbg_ptr, stream);
          }
          /**
           * Puts the failure of a fetch into the next batch; `stale` as in `answered`.
           * @param {string} effect
           * @param {boolean} stale
           * @param {string} message
           */
          unanswered(effect, stale, message) {
              const val3 = +stale;
              let ptr0, len0, ptr1, len1;
              try {
                  ptr0 = passStringToWasm0(effect, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len0 = WASM_VECTOR_LEN;
                  ptr1 = passStringToWasm0(message, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  len1 = WASM_VECTOR_LEN;
              } catch (e) {
                  if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
                  if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
                  throw e;
              }
              wasm.tenant_unanswered(this.__wbg_ptr, ptr0, len0, val3, ptr1, len1);
          }
      }
      if (Symbol.dispose) Tenant.prototype[Symbol.dispose] = Tenant.prototype.free;
      exports.Tenant = Tenant;
      function __wbg_get_imports() {
          const import0 = {
              __proto__: null,
              __wbg_Error_208446807d0d1e30: function(arg0, arg1) {
                  const ret = Error(getStringFromWasm0(arg0, arg1));
                  return ret;
              },
              __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
                  throw new Error(getStringFromWasm0(arg0, arg1));
              },
              __wbg_admitted_c4567d740d1348ec: function(arg0, arg1, arg2, arg3, arg4) {
                  let v0;
                  if (arg1 !== 0) {
                      v0 = getStringFromWasm0(arg1, arg2);
                      wasm.__wbindgen_free(arg1, arg2 * 1, 1);
                  }
                  arg0.admitted(v0, arg3 >>> 0, arg4 !== 0);
              },
              __wbg_allowWebhooks_0901d277c78691d6: function(arg0, arg1) {
                  const ret = arg1.allowWebhooks;
                  var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_apiKeys_407b013ee2135d06: function(arg0, arg1) {
                  const ret = arg1.apiKeys;
                  var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_deadline_628655dc62a7b258: function(arg0, arg1, arg2, arg3) {
                  arg0.deadline(arg1 === 0 ? undefined : arg2, arg3 !== 0);
              },
              __wbg_dev_fe3be6a493123890: function(arg0) {
                  const ret = arg0.dev;
                  return ret;
              },
              __wbg_error_a044d5e036f362d6: function(arg0, arg1) {
                  console.error(getStringFromWasm0(arg0, arg1));
              },
              __wbg_failed_5c3284428d42c757: function(arg0, arg1, arg2) {
                  let deferred0_0;
                  let deferred0_1;
                  try {
                      deferred0_0 = arg1;
                      deferred0_1 = arg2;
                      arg0.failed(getStringFromWasm0(arg1, arg2));
                  } finally {
                      wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
                  }
              },
              __wbg_failed_8196068351a7de96: function(arg0, arg1, arg2) {
                  let deferred0_0;
                  let deferred0_1;
                  try {
                      deferred0_0 = arg1;
                      deferred0_1 = arg2;
                      arg0.failed(getStringFromWasm0(arg1, arg2));
                  } finally {
                      wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
                  }
              },
              __wbg_fetch_48c9d1a76c48b179: function(arg0, arg1, arg2, arg3, arg4, arg5, arg6, arg7, arg8, arg9, arg10, arg11, arg12) {
                  let deferred0_0;
                  let deferred0_1;
                  let deferred1_0;
                  let deferred1_1;
                  let deferred2_0;
                  let deferred2_1;
                  try {
                      deferred0_0 = arg1;
                      deferred0_1 = arg2;
                      deferred1_0 = arg5;
                      deferred1_1 = arg6;
                      deferred2_0 = arg7;
                      deferred2_1 = arg8;
                      var v3 = getArrayU8FromWasm0(arg9, arg10).slice();
                      wasm.__wbindgen_free(arg9, arg10 * 1, 1);
                      arg0.fetch(getStringFromWasm0(arg1, arg2), getStringFromWasm0(arg3, arg4), getStringFromWasm0(arg5, arg6), getStringFromWasm0(arg7, arg8), v3, arg11, arg12 >>> 0);
                  } finally {
                      wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
                      wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
                      wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
                  }
              },
              __wbg_fetches_5245f258d9cf9bf0: function(arg0) {
                  const ret = arg0.fetches;
                  return isLikeNone(ret) ? Number.MAX_SAFE_INTEGER : (ret) >>> 0;
              },
              __wbg_finish_3639f8f85367dfbb: function(arg0, arg1, arg2) {
                  var v0 = getArrayU8FromWasm0(arg1, arg2).slice();
                  wasm.__wbindgen_free(arg1, arg2 * 1, 1);
                  arg0.finish(v0);
              },
              __wbg_intact_9e6558579b570baf: function(arg0) {
                  const ret = arg0.intact();
                  return isLikeNone(ret) ? 0xFFFFFF : ret ? 1 : 0;
              },
              __wbg_live_fcb1c6c3a602bafc: function(arg0, arg1, arg2, arg3) {
                  var v0 = getArrayF64FromWasm0(arg2, arg3).slice();
                  wasm.__wbindgen_free(arg2, arg3 * 8, 8);
                  arg0.live(arg1 >>> 0, v0);
              },
              __wbg_longPoll_673cc8ddbc716c9f: function(arg0, arg1) {
                  const ret = arg1.longPoll;
                  getDataViewMemory0().setFloat64((arg0 >>> 0) + 8 * 1, isLikeNone(ret) ? 0 : ret, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, !isLikeNone(ret), true);
              },
              __wbg_more_f9d4248bfaa7627b: function(arg0, arg1) {
                  const ret = arg1.more();
                  var ptr1 = isLikeNone(ret) ? 0 : passArray8ToWasm0(ret, wasm.__wbindgen_malloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_notify_817ef3306d08b719: function(arg0, arg1, arg2, arg3, arg4, arg5) {
                  let v0;
                  if (arg4 !== 0) {
                      v0 = getArrayU8FromWasm0(arg4, arg5).slice();
                      wasm.__wbindgen_free(arg4, arg5 * 1, 1);
                  }
                  arg0.notify(arg1, arg2, arg3, v0);
              },
              __wbg_open_19607e06744ab322: function(arg0, arg1, arg2, arg3) {
                  let deferred0_0;
                  let deferred0_1;
                  try {
                      deferred0_0 = arg2;
                      deferred0_1 = arg3;
                      arg0.open(arg1, getStringFromWasm0(arg2, arg3));
                  } finally {
                      wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
                  }
              },
              __wbg_prepare_cc1c9102dca4ace9: function(arg0, arg1, arg2, arg3) {
                  arg0.prepare(arg1 >>> 0, getStringFromWasm0(arg2, arg3));
              },
              __wbg_publicUrl_5f046d12e194a614: function(arg0, arg1) {
                  const ret = arg1.publicUrl;
                  var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_reply_c3e0c161094eefb3: function(arg0, arg1, arg2, arg3, arg4, arg5, arg6) {
                  let deferred0_0;
                  let deferred0_1;
                  try {
                      deferred0_0 = arg3;
                      deferred0_1 = arg4;
                      var v1 = getArrayU8FromWasm0(arg5, arg6).slice();
                      wasm.__wbindgen_free(arg5, arg6 * 1, 1);
                      arg0.reply(arg1, arg2, getStringFromWasm0(arg3, arg4), v1);
                  } finally {
                      wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
                  }
              },
              __wbg_respond_2036d5e0adb3b135: function(arg0, arg1, arg2, arg3, arg4, arg5) {
                  let deferred0_0;
                  let deferred0_1;
                  try {
                      deferred0_0 = arg2;
                      deferred0_1 = arg3;
                      var v1 = getArrayU8FromWasm0(arg4, arg5).slice();
                      wasm.__wbindgen_free(arg4, arg5 * 1, 1);
                      arg0.respond(arg1, getStringFromWasm0(arg2, arg3), v1);
                  } finally {
                      wasm.__wbindgen_free(deferred0_0, deferred0_1, 1);
                  }
              },
              __wbg_run_0570a45155c6fc69: function(arg0, arg1, arg2, arg3, arg4) {
                  const ret = arg1.run(arg2 >>> 0, getArrayU8FromWasm0(arg3, arg4));
                  var ptr1 = isLikeNone(ret) ? 0 : passArray8ToWasm0(ret, wasm.__wbindgen_malloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_send_b85e1339256f3da2: function(arg0, arg1, arg2) {
                  var v0 = getArrayU8FromWasm0(arg1, arg2).slice();
                  wasm.__wbindgen_free(arg1, arg2 * 1, 1);
                  arg0.send(v0);
              },
              __wbg_sse_871866cabd900737: function(arg0, arg1) {
                  const ret = arg1.sse;
                  getDataViewMemory0().setFloat64((arg0 >>> 0) + 8 * 1, isLikeNone(ret) ? 0 : ret, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, !isLikeNone(ret), true);
              },
              __wbg_stop_740feb678ac3e841: function(arg0) {
                  arg0.stop();
              },
              __wbg_streamRoot_2a85bd127d30af75: function(arg0, arg1) {
                  const ret = arg1.streamRoot;
                  var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_touch_9e162a35c3532e09: function(arg0, arg1) {
                  arg0.touch(arg1);
              },
              __wbg_transaction_cbc8337ce5513628: function(arg0, arg1, arg2, arg3) {
                  try {
                      var state0 = {a: arg2, b: arg3};
                      var cb0 = () => {
                          const a = state0.a;
                          state0.a = 0;
                          try {
                              return wasm_bindgen__convert__closures_____invoke__hab6a59297582d9a0(a, state0.b, );
                          } finally {
                              state0.a = a;
                          }
                      };
                      const ret = arg1.transaction(cb0);
                      var ptr2 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                      var len2 = WASM_VECTOR_LEN;
                      getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len2, true);
                      getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr2, true);
                  } finally {
                      state0.a = 0;
                  }
              },
              __wbg_trustedHeader_43c3842dfe5c9268: function(arg0, arg1) {
                  const ret = arg1.trustedHeader;
                  var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
                  var len1 = WASM_VECTOR_LEN;
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
              },
              __wbg_virtualStart_d2acb92e637b2371: function(arg0, arg1) {
                  const ret = arg1.virtualStart;
                  getDataViewMemory0().setFloat64((arg0 >>> 0) + 8 * 1, isLikeNone(ret) ? 0 : ret, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, !isLikeNone(ret), true);
              },
              __wbg_wait_fc2f30673b4be44a: function(arg0, arg1, arg2) {
                  arg0.wait(arg1 === 0 ? undefined : arg2);
              },
              __wbg_wakesPerMinute_5021df969daa353c: function(arg0, arg1) {
                  const ret = arg1.wakesPerMinute;
                  getDataViewMemory0().setFloat64((arg0 >>> 0) + 8 * 1, isLikeNone(ret) ? 0 : ret, true);
                  getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, !isLikeNone(ret), true);
              },
              __wbg_written_3bbf0c689883f007: function(arg0) {
                  const ret = arg0.written();
                  return ret;
              },
              __wbindgen_init_externref_table: function() {
                  const table = wasm.__wbindgen_externrefs;
                  table.set(0, undefined);
                  table.set(1024, undefined);
                  table.set(1025, null);
                  table.set(1026, true);
                  table.set(1027, false);
              },
          };
          return {
              __proto__: null,
              "./reveille_bg.js": import0,
          };
      }

      function wasm_bindgen__convert__closures_____invoke__hab6a59297582d9a0(arg0, arg1) {
          const ret = wasm.wasm_bindgen__convert__closures_____invoke__hab6a59297582d9a0(arg0, arg1);
          return ret !== 0;
      }

      const GateFinalization = (typeof FinalizationRegistry === 'undefined')
          ? { register: () => {}, unregister: () => {} }
          : new FinalizationRegistry(ptr => wasm.__wbg_gate_free(ptr, 1));
      const ReaderFinalization = (typeof FinalizationRegistry === 'undefined')
          ? { register: () => {}, unregister: () => {} }
          : new FinalizationRegistry(ptr => wasm.__wbg_reader_free(ptr, 1));
      const TenantFinalization = (typeof FinalizationRegistry === 'undefined')
          ? { register: () => {}, unregister: () => {} }
          : new FinalizationRegistry(ptr => wasm.__wbg_tenant_free(ptr, 1));

      function getArrayF64FromWasm0(ptr, len) {
          ptr = ptr >>> 0;
          return getFloat64ArrayMemory0().subarray(ptr / 8, ptr / 8 + len);
      }

      function getArrayU8FromWasm0(ptr, len) {
          ptr = ptr >>> 0;
          return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
      }

      let cachedDataViewMemory0 = null;
      function getDataViewMemory0() {
          if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
              cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
          }
          return cachedDataViewMemory0;
      }

      let cachedFloat64ArrayMemory0 = null;
      function getFloat64ArrayMemory0() {
          if (cachedFloat64ArrayMemory0 === null || cachedFloat64ArrayMemory0.byteLength === 0) {
              cachedFloat64ArrayMemory0 = new Float64Array(wasm.memory.buffer);
          }
          return cachedFloat64ArrayMemory0;
      }

      function getStringFromWasm0(ptr, len) {
          ptr = ptr >>> 0;
          return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
      }

      let cachedUint8ArrayMemory0 = null;
      function getUint8ArrayMemory0() {
          if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
              cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
          }
          return cachedUint8ArrayMemory0;
      }

      function isLikeNone(x) {
          return x === undefined || x === null;
      }

      function passArray8ToWasm0(arg, malloc) {
          const ptr = malloc(arg.length * 1, 1) >>> 0;
          getUint8ArrayMemory0().set(arg, ptr / 1);
          WASM_VECTOR_LEN = arg.length;
          return ptr;
      }

      function passStringToWasm0(arg, malloc, realloc) {
          if (realloc === undefined) {
              const buf = cachedTextEncoder.encode(arg);
              const ptr = malloc(buf.length, 1) >>> 0;
              getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
              WASM_VECTOR_LEN = buf.length;
              return ptr;
          }

          let len = arg.length;
          let ptr = malloc(len, 1) >>> 0;

          const mem = getUint8ArrayMemory0();

          let offset = 0;

          for (; offset < len; offset++) {
              const code = arg.charCodeAt(offset);
              if (code > 0x7F) break;
              mem[ptr + offset] = code;
          }
          if (offset !== len) {
              if (offset !== 0) {
                  arg = arg.slice(offset);
              }
              ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
              const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
              const ret = cachedTextEncoder.encodeInto(arg, view);

              offset += ret.written;
              ptr = realloc(ptr, len, offset, 1) >>> 0;
          }

          WASM_VECTOR_LEN = offset;
          return ptr;
      }

      function takeFromExternrefTable0(idx) {
          const value = wasm.__wbindgen_externrefs.get(idx);
          wasm.__externref_table_dealloc(idx);
          return value;
      }

      let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
      cachedTextDecoder.decode();
      function decodeText(bytes) {
          return cachedTextDecoder.decode(bytes);
      }

      const cachedTextEncoder = new TextEncoder();

      if (!('encodeInto' in cachedTextEncoder)) {
          cachedTextEncoder.encodeInto = function (arg, view) {
              const buf = cachedTextEncoder.encode(arg);
              view.set(buf);
              return {
                  read: arg.length,
                  written: buf.length
              };
          };
      }

      let WASM_VECTOR_LEN = 0;

      let wasmModule, wasmInstance, wasm;
      function __wbg_finalize_init(instance, module) {
          wasmInstance = instance;
          wasm = instance.exports;
          wasmModule = module;
          cachedDataViewMemory0 = null;
          cachedFloat64ArrayMemory0 = null;
          cachedUint8ArrayMemory0 = null;
          wasm.__wbindgen_start();
          return wasm;
      }

      async function __wbg_load(module, imports) {
          if (typeof Response === 'function' && module instanceof Response) {
              if (!module.ok) {
                  throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
              }

              if (typeof WebAssembly.instantiateStreaming === 'function') {
                  try {
                      return await WebAssembly.instantiateStreaming(module, imports);
                  } catch (e) {
                      const validResponse = expectedResponseType(module.type);

                      if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                          console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                      } else { throw e; }
                  }
              }

              const bytes = await module.arrayBuffer();
              return await WebAssembly.instantiate(bytes, imports);
          } else {
              const instance = await WebAssembly.instantiate(module, imports);

              if (instance instanceof WebAssembly.Instance) {
                  return { instance, module };
              } else {
                  return instance;
              }
          }

          function expectedResponseType(type) {
              switch (type) {
                  case 'basic': case 'cors': case 'default': return true;
              }
              return false;
          }
      }

      function initSync(module) {
          if (wasm !== undefined) return wasm;


          if (module !== undefined) {
              if (Object.getPrototypeOf(module) === Object.prototype) {
                  ({module} = module)
              } else {
                  console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
              }
          }

          const imports = __wbg_get_imports();
          if (!(module instanceof WebAssembly.Module)) {
              module = new WebAssembly.Module(module);
          }
          const instance = new WebAssembly.Instance(module, imports);
          return __wbg_finalize_init(instance, module);
      }

      let __wbg_init_promise;
      async function __wbg_init(module_or_path) {
          if (wasm !== undefined) return wasm;
          if (__wbg_init_promise === undefined) {
              __wbg_init_promise = __wbg_init_once(module_or_path);
              __wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
          }
          return __wbg_init_promise;
      }

      async function __wbg_init_once(module_or_path) {

          if (module_or_path !== undefined) {
              if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
                  ({module_or_path} = module_or_path)
              } else {
                  console.warn('using deprecated parameters for the initialization function; pass a single object instead')
              }
          }


          const imports = __wbg_get_imports();

          if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
              module_or_path = fetch(module_or_path);
          }

          const { instance, module } = await __wbg_load(await module_or_path, imports);

          return __wbg_finalize_init(instance, module);
      }

      return Object.assign(__wbg_init, { initSync }, exports);
  })({ __proto__: null });
  wasm_bindgen.initSync({ module })
  return wasm_bindgen
}
