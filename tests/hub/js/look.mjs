// What the Hub's JavaScript client finds in a repository: look.mjs HUB_URL REPO REVISION [TOKEN] -> JSON.

import { createHash } from "node:crypto";
import { downloadFile, listFiles, modelInfo } from "@huggingface/hub";

const [hubUrl, name, revision, accessToken] = process.argv.slice(2);
const repo = { type: "model", name };
const where = { repo, hubUrl, accessToken };
const info = await modelInfo({ name, hubUrl, accessToken, revision, additionalFields: ["sha"] });
const files = {};
for await (const file of listFiles({ ...where, revision, recursive: true })) {
  const blob = await downloadFile({ ...where, revision, path: file.path, xet: false });
  const bytes = Buffer.from(await blob.arrayBuffer());
  files[file.path] = {
    size: file.size,
    listed: file.lfs?.oid ?? null,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
console.log(JSON.stringify({ id: info.name, sha: info.sha, private: info.private, files }));
