/** What is encoded here decodes in Python to the latents that the encoder meant. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encode } from "../src/encode.js";
import { decode, latents } from "../src/index.js";
import type { Source } from "../src/types.js";
import { ROOT, TINY, WEIGHTS } from "./files.js";
import { generator } from "./mutants.js";
import { NO_PYTHON, python } from "./python.js";

const EYE = readFileSync(join(ROOT, "models/eye-cc455c78.safetensors"));
const weights = { cc455c78: new Uint8Array(EYE), b948fc7b: TINY };

/** A made picture: waves, edges, noise; gray or not, with alpha or not. */
function made(seed: number): Source & { quality: number } {
  const random = generator(seed),
    width = 1 + random(seed % 4 ? 90 : 300),
    height = 1 + random(seed % 5 ? 90 : 300);
  const rgba = new Uint8ClampedArray(4 * width * height),
    gray = seed % 6 === 1,
    alpha = seed % 6 === 2,
    noise = random(60);
  const [u, v, w] = [random(40) / 100, random(40) / 100, random(5)];
  for (let i = 0; i < width * height; i++) {
    const x = i % width,
      y = Math.floor(i / width);
    for (let c = 0; c < 3; c++) {
      const value = 128 + 90 * Math.sin(u * x + v * y + w * c) + (x > y ? 30 : 0) + random(1 + noise) - noise / 2;
      rgba[4 * i + c] = gray && c ? rgba[4 * i]! : value;
    }
    rgba[4 * i + 3] = alpha ? (x * y) % 256 : 255;
  }
  return { width, height, rgba, quality: 1 + random(100) };
}

/** Latents of a file, (channel, row, column), as we decode them. */
async function latentsOf(bytes: Uint8Array): Promise<Int32Array> {
  return (await latents(bytes, { weights, workers: 0 })).values;
}

const PICTURES = 32;

test(`${PICTURES} pictures encoded here decode in Python to the same latents`, { skip: NO_PYTHON }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "vaecodec-encode-"));
  try {
    const paths: string[] = [],
      latents: Int32Array[] = [],
      pictures: Source[] = [];
    for (let seed = 0; seed < PICTURES; seed++) {
      const { quality, ...picture } = seed === 7 ? { ...wide(), quality: 40 } : made(seed),
        model = seed % 4 === 3 ? "b948fc7b" : "cc455c78";
      const bytes = await encode(picture, {
        quality,
        model,
        weights,
        workers: 0,
        kernel: seed % 2 ? "simd" : "relaxed",
      });
      paths.push(join(folder, `${seed}.vaec`));
      writeFileSync(paths[seed]!, bytes);
      pictures.push(picture);
      latents.push(await latentsOf(bytes));
    }
    const theirs = python(
      `
import sys, numpy as np, vaecodec
tiny = vaecodec.Codec("tests/golden/tiny.safetensors", threads=1)
others = vaecodec.Codec(threads=1)
for path in sys.argv[1:]:
    codec = tiny if vaecodec.inspect(path)["model_identity"] == "b948fc7b" else others
    codec.decode(path)
    sys.stdout.buffer.write(codec.decode_latents(path).astype("<i4").tobytes())
`,
      ...paths,
    );
    let at = 0;
    for (const [seed, values] of latents.entries()) {
      const expected = theirs.subarray(at, (at += values.byteLength));
      assert.ok(Buffer.from(expected).equals(Buffer.from(values.buffer)), `picture ${seed}`);
    }
    assert.equal(at, theirs.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Two tiles. */
function wide(): Source {
  const width = 1100,
    height = 40,
    rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < rgba.length; i++) if (i % 4 < 3) rgba[i] = 128 + 100 * Math.sin(i / 700 + (i % 4));
  return { width, height, rgba };
}

test(
  "pictures come back nearly as they were, and files are about as large as Python's",
  { skip: NO_PYTHON },
  async () => {
    const picture = { ...made(24), hasAlpha: false },
      { width, height } = picture;
    const bytes = await encode(picture, { quality: 70, weights, workers: 0 });
    const { rgba } = await decode(bytes, { weights, workers: 0 });
    let error = 0;
    for (let i = 0; i < rgba.length; i++) error += (rgba[i]! - picture.rgba[i]!) ** 2;
    const folder = mkdtempSync(join(tmpdir(), "vaecodec-encode-"));
    try {
      writeFileSync(join(folder, "p.raw"), picture.rgba);
      const [size, theirs] = JSON.parse(
        new TextDecoder().decode(
          python(
            `
import sys, json, numpy as np, vaecodec
from PIL import Image
pixels = np.fromfile(sys.argv[1], np.uint8).reshape(${height}, ${width}, 4)[:, :, :3]
codec = vaecodec.Codec(threads=1, keep=False, effort=1)
data = codec.encode(Image.fromarray(np.ascontiguousarray(pixels)), 70)
print(json.dumps([len(data), float(np.square(np.asarray(codec.decode(data)).astype(float) - pixels).sum())]))
`,
            join(folder, "p.raw"),
          ),
        ),
      );
      assert.ok(Math.abs(bytes.length / size - 1) < 0.02, `${bytes.length} bytes, Python ${size}`);
      assert.ok(Math.abs(error / theirs - 1) < 0.02, `squared error ${error}, Python ${theirs}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test("alpha and metadata are kept, colours under full transparency are not", async () => {
  const picture = made(2),
    xmp = new TextEncoder().encode("<x:xmpmeta/>");
  const bytes = await encode({ ...picture, xmp }, { model: "b948fc7b", weights, workers: 0 });
  const back = await decode(bytes, { weights, workers: 0 });
  assert.ok(back.hasAlpha);
  assert.ok(back.rgba.every((value, i) => i % 4 !== 3 || value === picture.rgba[i]));
  assert.equal(new TextDecoder().decode(back.xmp), "<x:xmpmeta/>");
});

test("what cannot be encoded", async () => {
  const { width, height, rgba } = made(3),
    options = { weights, workers: 0 };
  await assert.rejects(encode({ width, height, rgba: rgba.subarray(4) }, options), { name: "VaecodecError" });
  await assert.rejects(encode({ width: 0, height, rgba: rgba.subarray(0, 0) }, options), { name: "VaecodecError" });
  await assert.rejects(encode({ width, height, rgba }, { ...options, quality: 101 }), { name: "VaecodecError" });
  await assert.rejects(encode({ width, height, rgba }, { ...options, maxPixels: 1000 }), { code: "limit" });
  const earlier = encode({ width, height, rgba }, { model: "2341a3a8", weights: WEIGHTS, workers: 0 });
  await assert.rejects(earlier, /can only decode/);
});
