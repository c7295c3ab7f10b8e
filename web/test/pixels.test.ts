/** Pixels are those that Python decodes, within one level, and few of them differ. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { decode } from "../src/index.js";
import { decodeImage } from "./decoder.js";
import { GOLDEN, WEIGHTS } from "./files.js";
import { NO_PYTHON, decodedByPython } from "./python.js";

function files(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".vaec"))
    .map((name) => join(folder, name));
}

for (const kernel of ["simd", "relaxed"] as const) {
  test(`pixels of golden streams, ${kernel}`, { skip: NO_PYTHON }, async () => {
    const paths = files(GOLDEN),
      expected = decodedByPython(...paths);
    let different = 0,
      total = 0;
    for (const [i, path] of paths.entries()) {
      const { rgba } = await decode(readFileSync(path), { weights: WEIGHTS, workers: 0, kernel });
      assert.equal(rgba.length, expected[i]!.length, path);
      for (let k = 0; k < rgba.length; k++) {
        const difference = Math.abs(rgba[k]! - expected[i]![k]!);
        assert.ok(difference <= 1, `${path}: sample ${k} differs by ${difference}`);
        different += difference;
      }
      total += rgba.length;
    }
    assert.ok(different * 1000 <= total, `${different} of ${total} samples differ`);
  });
}

test("pixels of what is kept", { skip: NO_PYTHON }, async () => {
  const paths = files(join(GOLDEN, "kept")),
    expected = decodedByPython(...paths);
  for (const [i, path] of paths.entries()) {
    const { rgba, kept } = await decode(readFileSync(path), { decodeImage });
    assert.equal(kept, basename(path).startsWith("jpeg") ? "jpeg" : "pixels");
    const slack = kept === "jpeg" ? 2 : 0;
    assert.equal(rgba.length, expected[i]!.length, path);
    assert.ok(
      rgba.every((value, k) => Math.abs(value - expected[i]![k]!) <= slack),
      path,
    );
  }
});
