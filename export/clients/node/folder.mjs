// An entry's folder on disk, and its exported file in onnxruntime-node.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import * as ort from "onnxruntime-node";

import { openSession, run } from "../javascript/classifier.mjs";
import { checkHash, readEntry } from "../javascript/entry.mjs";
import { ClientError } from "../javascript/errors.mjs";

async function read(folder, name) {
  try {
    return await readFile(join(folder, name));
  } catch (error) {
    const why = error.code === "ENOENT" ? "no such file" : error.message;
    throw new ClientError(`${join(folder, name)}: ${why}; give the folder of a published entry`, { cause: error });
  }
}

/** An entry that is ready to run. Make one with {@link EntryFolder.open}. */
export class EntryFolder {
  constructor(folder, entry, session) {
    Object.assign(this, { folder, entry, session });
  }

  /** Reads `folder` and loads its exported file, after comparing it with the hash in report.json. */
  static async open(folder) {
    const [config, report] = await Promise.all([read(folder, "config.json"), read(folder, "report.json")]);
    const entry = readEntry(config.toString(), report.toString());
    const bytes = await read(folder, entry.file.name);
    await checkHash(bytes, entry.file);
    const options = { executionProviders: ["cpu"], intraOpNumThreads: 1, logSeverityLevel: 3 };
    return new EntryFolder(folder, entry, await openSession(ort, bytes, entry.file, options));
  }

  /** Bytes of golden.safetensors. */
  golden() {
    return read(this.folder, "golden.safetensors");
  }

  /** Logits of one preprocessed image (3, R, R). */
  logits(input) {
    return run(ort, this.session, input, 1, this.entry.preprocessing.resolution);
  }
}

export { ort };
