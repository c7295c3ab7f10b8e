/** Golden streams decode to the latents of then, by both kernels. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { latents } from "../src/index.js";
import type { Options } from "../src/types.js";
import { GOLDEN, WEIGHTS, vaec } from "./files.js";

const HASHES: Record<string, string> = JSON.parse(readFileSync(join(GOLDEN, "golden.json"), "utf8"));

/** SHA-256 of all latents, int32 in the order channel, row, column. */
async function hashOf(bytes: Uint8Array, options: Options): Promise<string> {
  const { values } = await latents(bytes, options);
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

for (const kernel of ["simd", "relaxed"] as const) {
  for (const [name, expected] of Object.entries(HASHES)) {
    test(`${name}, ${kernel}`, async () => {
      assert.equal(await hashOf(vaec(GOLDEN, name), { weights: WEIGHTS, workers: 0, kernel }), expected);
    });
  }
}
