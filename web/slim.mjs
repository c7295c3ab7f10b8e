/** Slim model files: what decoding needs of a model, with the identity of the whole file recorded; the same bytes as
 * vaecodec.model.file.slim_copy makes. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ENCODER = ["analysis.", "hyper_analysis.", "norm"];
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** Sorted keys, no spaces, as Python's json.dumps(sort_keys=True, separators=(",", ":")) writes them. */
function sortedJson(value) {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${sortedJson(value[key])}`).join(",")}}`;
}

/** The slim file of a model file, and the identity (SHA-256) of the whole one. */
export function slim(data) {
  const start = 8 + Number(data.readBigUInt64LE(0));
  const { __metadata__: metadata, ...tensors } = JSON.parse(data.subarray(8, start).toString());
  if (metadata?.format !== "vaecodec-model-1") throw new Error("no vaecodec model");
  if (metadata.identity) return { data, identity: metadata.identity };
  const { format, config, bpp_range } = metadata, identity = sha256(data);
  const header = { __metadata__: { format, config, identity, ...(bpp_range ? { bpp_range } : {}) } };
  const parts = [];
  let at = 0;
  for (const [name, entry] of Object.entries(tensors).sort((a, b) => a[1].data_offsets[0] - b[1].data_offsets[0])) {
    if (ENCODER.some((prefix) => name.startsWith(prefix))) continue;
    const [from, to] = entry.data_offsets;
    header[name] = { ...entry, data_offsets: [at, at + to - from] };
    parts.push(data.subarray(start + from, start + to));
    at += to - from;
  }
  const text = sortedJson(header), padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  return { data: Buffer.concat([size, Buffer.from(padded), ...parts]), identity };
}

/** Write the slim files of model files into a folder; returns [identity, SHA-256 of the slim file] of each. */
export function writeWeights(files, folder) {
  mkdirSync(folder, { recursive: true });
  return files.map((file) => {
    const { data, identity } = slim(readFileSync(file));
    writeFileSync(join(folder, `${identity.slice(0, 8)}.bin`), data);
    return [identity.slice(0, 8), sha256(data)];
  });
}

/** The default model, beside this package in the repository. */
export const DEFAULT = fileURLToPath(new URL("../models/eye-cc455c78.safetensors", import.meta.url));
