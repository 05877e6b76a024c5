#!/usr/bin/env node
// Classify images with a published entry, or check the entry against its golden logits.
import { parseArgs } from "node:util";

import { best, checkGolden } from "../javascript/classifier.mjs";
import { ClientError } from "../javascript/errors.mjs";
import { preprocess } from "../javascript/preprocess.mjs";

const USAGE = `usage: node classify.mjs ENTRY IMAGE... [--top N] [--json]
       node classify.mjs ENTRY --check [--json]

ENTRY is the folder of a published entry, IMAGE a PNG or JPEG file.
  --check   run the golden images of the entry and compare with its golden logits
  --top N   how many classes to print for each image (default 5)
  --json    print the result as JSON, for machines`;

class UsageError extends ClientError {}

function readArguments(args) {
  const options = {
    check: { type: "boolean" }, help: { type: "boolean", short: "h" }, json: { type: "boolean" },
    top: { type: "string", default: "5" },
  };
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message.split(". ")[0], { cause: error });
  }
  const { values, positionals: [entry, ...images] } = parsed;
  const top = Number(values.top);
  if (!values.help) {
    if (entry === undefined) throw new UsageError("no ENTRY given");
    if (!Number.isInteger(top) || top < 1) throw new UsageError(`--top is '${values.top}', not a number from 1`);
    if (values.check ? images.length > 0 : images.length === 0) {
      throw new UsageError(values.check ? "--check takes no images" : "no IMAGE given");
    }
  }
  return { ...values, entry, images, top };
}

/** Text of an entry without control characters, which could steer the terminal. */
function printable(text) {
  return text.replace(/\s+/g, " ").replace(/\p{Cc}/gu, "\ufffd");
}

/** The client's own packages, with a line that says what to type where they are not installed. */
async function load() {
  try {
    return [await import("./folder.mjs"), await import("./images.mjs")];
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    const here = import.meta.dirname;
    throw new ClientError(`its packages are not installed; run: npm ci --prefix ${here}`, { cause: error });
  }
}

async function check({ entry: path, json }) {
  const [{ EntryFolder, ort }] = await load();
  const folder = await EntryFolder.open(path);
  const result = await checkGolden(ort, folder.session, folder.entry, await folder.golden());
  const { images, maxAbsDiff, allowed } = result;
  if (json) {
    console.log(JSON.stringify({
      entry: folder.entry.name, file: folder.entry.file.name, ok: result.ok, golden_images: images,
      max_abs_diff: maxAbsDiff, allowed,
    }, null, 2));
  } else {
    const numbers = `largest difference ${maxAbsDiff.toPrecision(3)}, allowed ${allowed.toPrecision(3)}`;
    console.log(`${printable(folder.entry.name)}: ${images} golden images, ${numbers}: ${result.ok ? "OK" : "FAILED"}`);
  }
  if (!result.ok) throw new ClientError(`${path}: ${folder.entry.file.name} does not give the golden logits`);
}

async function classify({ entry: path, images, top, json }) {
  const [{ EntryFolder }, { readImage }] = await load();
  const folder = await EntryFolder.open(path);
  const results = []; // all before the first is printed: an unreadable image means no result, not half of one
  for (const image of images) {
    const { preprocessing } = folder.entry;
    const { input } = preprocess(await readImage(image, preprocessing.transparency), preprocessing);
    results.push({ image, predictions: best(await folder.logits(input), folder.entry.labels, top) });
  }
  if (json) {
    console.log(JSON.stringify(results, null, 2));
    return;
  }
  for (const { image, predictions } of results) {
    console.log(image);
    for (const { label, probability_pct: percent } of predictions) {
      console.log(`  ${percent.toFixed(2).padStart(6)} %  ${printable(label)}`);
    }
  }
}

try {
  const options = readArguments(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else await (options.check ? check : classify)(options);
} catch (error) {
  if (!(error instanceof ClientError)) throw error;
  const hint = error instanceof UsageError ? "; see: node classify.mjs --help" : "";
  console.error(`classify: error: ${printable(error.message)}${hint}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
