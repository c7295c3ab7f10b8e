/** Whatever a mutant is, the answer is a picture or one clear line, soon. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VaecodecError, decode } from "../src/index.js";
import { decodeImage } from "./decoder.js";
import { TINY } from "./files.js";
import { generator, mutant } from "./mutants.js";

const COUNT = 2000;

test(`${COUNT} mutants`, { timeout: 600_000 }, async () => {
  const answers = { decoded: 0, symbols: 0, refused: 0 };
  for (let seed = 0; seed < COUNT; seed++) {
    const options = {
      weights: { b948fc7b: TINY },
      maxPixels: 2 ** 17,
      maxMetadata: 2 ** 16,
      workers: 0,
      decodeImage,
      kernel: seed % 2 ? ("simd" as const) : ("relaxed" as const),
      salvage: seed % 3 === 0,
    };
    const bytes = mutant(generator(seed));
    try {
      const { width, height, rgba } = await decode(bytes, options);
      assert.equal(rgba.length, 4 * width * height);
      answers.decoded++;
    } catch (error) {
      if (!(error instanceof VaecodecError)) throw new Error(`seed ${seed}: ${(error as Error).stack}`);
      assert.match(error.message, /^[^\n]+$/);
      answers[/stream/.test(error.message) ? "symbols" : "refused"]++;
    }
  }
  // They reach the symbols.
  assert.ok(answers.decoded > COUNT / 50 && answers.symbols > COUNT / 50, JSON.stringify(answers));
});
