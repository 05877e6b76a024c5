// Calls the clients' functions on many cases in one process: node run_cases.mjs CLIENTS FOLDER
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [clients, folder] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(clients, path)).href);
const { ClientError } = await load("javascript/errors.mjs");
const { resize } = await load("javascript/resize.mjs");
const { preprocess } = await load("javascript/preprocess.mjs");
const { readEntry } = await load("javascript/entry.mjs");
const { readTensors } = await load("javascript/safetensors.mjs");
const { scanDigit } = await load("javascript/digit_scan.mjs");
const { readImage } = await load("node/images.mjs");

const { images, cases } = JSON.parse(readFileSync(join(folder, "cases.json"), "utf-8"));
images.forEach((image, i) => Object.assign(image, { data: new Uint8Array(readFileSync(join(folder, `image${i}`))) }));

const doings = {
  resize: ({ image, width, height, interpolation, window }) =>
    resize(images[image], width, height, interpolation, window),
  preprocess: ({ image, info }) => ({ data: preprocess(images[image], info).input }),
  read: ({ path, transparency }) => readImage(path, transparency),
  entry: ({ config, report }) => ({ name: readEntry(config, report).name }),
  tensors: ({ path }) => ({ names: Object.keys(readTensors(readFileSync(path), "golden.safetensors")) }),
  scan: ({ strokes }) => scanDigit(strokes),
};

const results = [];
for (const [index, { do: what, ...given }] of cases.entries()) {
  try {
    const { data, ...result } = await doings[what](given);
    if (data !== undefined) {
      result.file = join(folder, `result${index}`);
      writeFileSync(result.file, data);
    }
    results.push(result);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    results.push({ error: error.message });
  }
}
writeFileSync(join(folder, "results.json"), JSON.stringify(results));
