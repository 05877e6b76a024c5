// The entry that the server offers, and its exported file in onnxruntime-web.
import { checkGolden, openSession, run } from "../javascript/classifier.mjs";
import { checkHash, readEntry } from "../javascript/entry.mjs";
import { ClientError } from "../javascript/errors.mjs";
import * as ort from "../runtime/ort.wasm.min.mjs";

const MANY_BYTES = 1_000_000; // a smaller network is done before further threads have woken up
const MAX_THREADS = 4;
const REPEATS = 20;
const PATIENCE_MS = 200;

/** Where the entry lies: ../entry/, or for ?entry=NAME, on pages of many models, ../entries/NAME/. */
function entryFolder() {
  const name = new URLSearchParams(globalThis.location.search).get("entry");
  if (name === null) return "../entry/";
  // A plain name, as in a manifest: nothing that leads to another folder or another site.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new ClientError("the address names no entry");
  return `../entries/${name}/`;
}

async function fetchEntry(name) {
  const response = await fetch(new URL(entryFolder() + name, import.meta.url)).catch(() => null);
  if (!response?.ok) throw new ClientError(`${name} cannot be read; is anas serve still running?`);
  return response;
}

function chooseThreads(size) {
  if (size < MANY_BYTES || !globalThis.crossOriginIsolated) return 1;
  return Math.min(MAX_THREADS, Math.ceil((navigator.hardwareConcurrency || 1) / 2));
}

/** An entry that is ready to run. Make one with {@link Model.open}. */
export class Model {
  #session;
  #last = Promise.resolve(); // onnxruntime takes one run at a time

  constructor(entry, session, threads) {
    Object.assign(this, { entry, threads });
    this.#session = session;
  }

  /** Fetches the entry and loads its exported file, after comparing it with the hash in report.json. */
  static async open() {
    const [config, report] = await Promise.all(
      ["config.json", "report.json"].map(async (name) => (await fetchEntry(name)).text()));
    const entry = readEntry(config, report);
    const bytes = new Uint8Array(await (await fetchEntry(entry.file.name)).arrayBuffer());
    await checkHash(bytes, entry.file);
    const threads = chooseThreads(bytes.length);
    Object.assign(ort.env.wasm, { wasmPaths: new URL("../runtime/", import.meta.url).href, numThreads: threads });
    ort.env.logLevel = "error";
    const session = await openSession(ort, bytes, entry.file, { executionProviders: ["wasm"] });
    return new Model(entry, session, threads);
  }

  #inTurn(work) {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  #run(input) {
    return run(ort, this.#session, input, 1, this.entry.preprocessing.resolution);
  }

  /** Logits of one preprocessed image (3, R, R), and the median time of some runs in milliseconds. */
  classify(input) {
    return this.#inTurn(async () => {
      const logits = await this.#run(input);
      const times = [];
      for (const end = performance.now() + PATIENCE_MS; times.length < REPEATS; ) {
        const start = performance.now();
        await this.#run(input);
        times.push(performance.now() - start);
        if (performance.now() > end) break;
      }
      times.sort((a, b) => a - b);
      return { logits, latencyMs: times[times.length >> 1], repeats: times.length };
    });
  }

  /** The golden check of this entry, see {@link checkGolden}. */
  check() {
    return this.#inTurn(async () => {
      const bytes = new Uint8Array(await (await fetchEntry("golden.safetensors")).arrayBuffer());
      return checkGolden(ort, this.#session, this.entry, bytes);
    });
  }
}
