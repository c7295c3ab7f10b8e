/** Golden streams decode to the latents of then, by both kernels. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../src/container.js";
import { Groups, engineOf } from "../src/decode.js";
import type { Options } from "../src/types.js";
import { GOLDEN, WEIGHTS, vaec } from "./files.js";

const HASHES: Record<string, string> = JSON.parse(readFileSync(join(GOLDEN, "golden.json"), "utf8"));

/** SHA-256 of all latents, int32 in the order channel, row, column. */
async function hashOf(bytes: Uint8Array, options: Options): Promise<string> {
  const container = new Container(bytes),
    engine = await engineOf(container, options),
    { grid } = container;
  const groups = new Groups(container, engine, false),
    { latents: channels } = await engine.run({ kind: "sizes" });
  const { bottom, right } = grid.bounds,
    all = new Int32Array(channels * bottom * right);
  for (let index = 0; index < grid.count; index++) {
    const values = (await groups.get(index))!,
      { top, left, bottom: end, right: side } = grid.tile(index);
    let from = 0;
    for (let row = top; row < end; row++) {
      for (let column = left; column < side; column++) {
        for (let c = 0; c < channels; c++) all[(c * bottom + row) * right + column] = values[from++]!;
      }
    }
  }
  return createHash("sha256").update(new Uint8Array(all.buffer)).digest("hex");
}

for (const kernel of ["simd", "relaxed"] as const) {
  for (const [name, expected] of Object.entries(HASHES)) {
    test(`${name}, ${kernel}`, async () => {
      assert.equal(await hashOf(vaec(GOLDEN, name), { weights: WEIGHTS, workers: 0, kernel }), expected);
    });
  }
}
