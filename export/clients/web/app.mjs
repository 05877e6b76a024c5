// The page: images in, classes out. It knows nothing of an entry but what its files say.
import { best } from "../javascript/classifier.mjs";
import { scanDigit } from "../javascript/digit_scan.mjs";
import { ClientError } from "../javascript/errors.mjs";
import { preprocess } from "../javascript/preprocess.mjs";
import { Pad } from "./drawing.mjs";
import { readImage } from "./images.mjs";
import { Model } from "./model.mjs";
import { say, showEntry, showNothing, showResult } from "./view.mjs";

const $ = (id) => document.getElementById(id);
const TOP = 5;

let newest = 0; // results of an older image must not replace those of a newer one

function message(error) {
  if (!(error instanceof ClientError)) console.error(error);
  return error.message || String(error);
}

/** Classifies what `read` gives and shows it, unless something newer came in the meantime. */
async function classify(model, name, read) {
  const mine = ++newest;
  try {
    const image = await read();
    const start = performance.now();
    const { input, seen } = preprocess(image, model.entry.preprocessing);
    const preparedMs = performance.now() - start;
    const { logits, latencyMs, repeats } = await model.classify(input);
    if (mine !== newest) return;
    const classes = best(logits, model.entry.labels, TOP);
    showResult({ name, image, seen, classes, preparedMs, latencyMs, repeats, threads: model.threads });
  } catch (error) {
    if (mine === newest) showNothing(`${name}: ${message(error)}`, "bad");
  }
}

function listenForFiles(model) {
  const take = (file) => {
    const { transparency } = model.entry.preprocessing;
    if (file) classify(model, file.name || "pasted image", () => readImage(file, transparency));
  };
  $("file").disabled = false;
  $("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  });
  // The whole page takes files: one dropped beside the frame would otherwise replace the page.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) $("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
}

/** Models of the digits' scans can be tried with a digit drawn by hand. */
function readsDigits({ config, labels }) {
  const scans = "Optical Recognition of Handwritten Digits";
  return Boolean(config.anas.weights?.source?.includes(scans)) && labels.join() === "0,1,2,3,4,5,6,7,8,9";
}

function offerDrawing(model) {
  const pad = new Pad($("pad"), (strokes) => {
    const empty = strokes.length === 0;
    $("undo").disabled = $("clear").disabled = empty;
    if (!empty) {
      classify(model, "drawing as a scan", async () => scanDigit(strokes));
      return;
    }
    newest++;
    showNothing("Nothing yet.");
  });
  $("undo").addEventListener("click", () => pad.undo());
  $("clear").addEventListener("click", () => pad.clear());
  $("drawing").hidden = false;
}

async function check(model) {
  $("check").disabled = true;
  say("verdict", "running…");
  try {
    const { ok, images, maxAbsDiff, allowed } = await model.check();
    const numbers = `${images} images, largest difference of a logit ${maxAbsDiff.toExponential(1)}, ` +
      `allowed ${allowed.toExponential(1)}`;
    say("verdict", `${ok ? "OK" : "FAILED"}: ${numbers}`, ok ? "good" : "bad");
  } catch (error) {
    say("verdict", `FAILED: ${message(error)}`, "bad");
  }
  $("check").disabled = false;
}

try {
  const model = await Model.open();
  showEntry(model.entry);
  listenForFiles(model);
  if (readsDigits(model.entry)) offerDrawing(model);
  $("check").addEventListener("click", () => check(model));
  $("check").disabled = false;
  say("status", "Ready: the network runs in this browser, nothing leaves this machine.");
} catch (error) {
  say("status", message(error), "bad");
}
