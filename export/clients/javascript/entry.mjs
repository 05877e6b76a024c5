// A published entry: what its config.json and report.json say, checked as far as a client relies on it.
import { ClientError } from "./errors.mjs";
import { checkMode } from "./preprocess.mjs";
import { INTERPOLATIONS } from "./resize.mjs";
import { DROPPED, TRANSPARENCIES } from "./transparency.mjs";

const FORMATS = [1, 2];
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*\.onnx$/; // a plain name: never a path out of the folder

function parse(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ClientError(`${what}: not JSON (${error.message})`, { cause: error });
  }
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function isTriple(value, allowed) {
  return Array.isArray(value) && value.length === 3 && value.every((one) => isNumber(one) && allowed(one));
}

function checkPreprocessing({ preprocessing, arch }) {
  if (typeof preprocessing !== "object" || preprocessing === null) {
    throw new ClientError("config.json: no anas.preprocessing");
  }
  const info = { ...preprocessing, resolution: arch?.resolution };
  checkMode(info.mode);
  const problems = [];
  if (!Number.isInteger(info.resolution) || info.resolution < 1) problems.push("resolution");
  if (!INTERPOLATIONS.includes(info.interpolation)) problems.push("interpolation");
  if (!isNumber(info.crop_pct) || info.crop_pct <= 0 || info.crop_pct > 1) problems.push("crop_pct");
  if (!isTriple(info.mean, () => true)) problems.push("mean");
  if (!isTriple(info.std, (value) => value !== 0)) problems.push("std");
  if (info.colour !== "rgb") problems.push("colour");
  if (!TRANSPARENCIES.includes(info.transparency ?? DROPPED)) problems.push("transparency");
  if (problems.length > 0) {
    const listed = problems.map((key) => `${key} ${JSON.stringify(info[key]) ?? "absent"}`).join(", ");
    throw new ClientError(`config.json: anas.preprocessing cannot be used: ${listed}`);
  }
  return { ...info, transparency: info.transparency ?? DROPPED };
}

function readLabels(config) {
  const count = config.num_classes;
  if (!Number.isInteger(count) || count < 1) throw new ClientError("config.json: no num_classes");
  const labels = config.label_names ?? Array.from({ length: count }, (_, i) => `class ${i}`);
  if (!Array.isArray(labels) || labels.length !== count || !labels.every((one) => typeof one === "string")) {
    throw new ClientError(`config.json: label_names are not ${count} texts`);
  }
  return labels;
}

/** The exported file to run: `wanted`, else model.onnx, else the first that the report has evidence for. */
function chooseFile(config, report, wanted) {
  const files = report.files ?? {};
  const names = Object.keys(files)
    .filter((name) => name.endsWith(".onnx"))
    .sort();
  if (config.anas.weights === null) {
    throw new ClientError(`${config.anas.name} comes without weights, so there is nothing to run`);
  }
  if (names.length === 0) throw new ClientError("the entry has no exported file; run: anas export ENTRY");
  const name = wanted ?? (names.includes("model.onnx") ? "model.onnx" : names[0]);
  if (!Object.hasOwn(files, name) || !FILE_NAME.test(name)) {
    throw new ClientError(`the entry has no exported file ${JSON.stringify(name)}; it has ${names.join(", ")}`);
  }
  return { name, sha256: files[name]?.sha256, parity: files[name]?.parity?.max_abs_logit_diff ?? 0 };
}

/**
 * What a client needs to know of an entry.
 *
 * @param {string} configText config.json
 * @param {string} reportText report.json
 * @param {string} [wanted] name of the exported file
 */
export function readEntry(configText, reportText, wanted) {
  const config = parse(configText, "config.json");
  const report = parse(reportText, "report.json");
  if (!FORMATS.includes(config?.anas?.format)) {
    const given = JSON.stringify(config?.anas?.format);
    throw new ClientError(`config.json: anas.format is ${given}, not ${FORMATS.join(" or ")}`);
  }
  return {
    name: String(config.anas.name),
    preprocessing: checkPreprocessing(config.anas),
    labels: readLabels(config),
    file: chooseFile(config, report ?? {}, wanted),
    config,
    report: report ?? {},
  };
}

/** Raises {@link ClientError} when the bytes of the exported file are not those that the report measured. */
export async function checkHash(bytes, file) {
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== file.sha256) {
    throw new ClientError(`${file.name} is not the file that report.json measured (SHA-256 differs)`);
  }
}
