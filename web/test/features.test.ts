/** What files have besides pixels; salvage; previews. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VaecodecError, decode, inspect, preview } from "../src/index.js";
import { GOLDEN, TINY, vaec } from "./files.js";

const options = { weights: { b948fc7b: TINY }, workers: 0 };

// First, since a model is known once it has been checked.
test("limits and models have errors of their own", async () => {
  const bytes = vaec(GOLDEN, "tiny-131x97"),
    code = (code: string) => (error: unknown) => error instanceof VaecodecError && error.code === code;
  await assert.rejects(decode(bytes, { ...options, maxPixels: 131 * 97 - 1 }), code("limit"));
  await assert.rejects(decode(bytes, { workers: 0, weights: {} }), code("model"));
  await assert.rejects(decode(bytes, { workers: 0, weights: { b948fc7b: TINY.slice(0, -1) } }), code("model"));
  const other = new Uint8Array(TINY);
  other[other.length - 1]! ^= 1;
  await assert.rejects(decode(bytes, { workers: 0, kernel: "simd", weights: { b948fc7b: other } }), code("model"));
  await assert.rejects(decode(bytes, { ...options, signal: AbortSignal.abort() }), code("aborted"));
  await assert.rejects(decode(new Uint8Array([1, 2, 3])), code("foreign"));
});

test("inspect", () => {
  const { bytes, ...facts } = inspect(vaec(GOLDEN, "tiny-tiles-alpha"));
  assert.deepEqual(facts, {
    version: 2,
    width: facts.width,
    height: facts.height,
    quality: facts.quality,
    model: "b948fc7b",
    tile: 128,
    tiles: 4,
    gray: false,
    hasAlpha: true,
    kept: "latents",
    bpp: (8 * bytes) / (facts.width * facts.height),
    sections: [{ name: "alpha", bytes: facts.sections[0]!.bytes }],
  });
  assert.equal(inspect(vaec(GOLDEN, "tiny-q33.33")).quality, 33.33);
  assert.deepEqual(
    inspect(vaec(GOLDEN, "tiny-unknown-sections")).sections.map(({ name }) => name),
    ["section 200", "xmp", "section 128"],
  );
});

test("metadata", async () => {
  const { icc, exif, xmp, info } = await decode(vaec(GOLDEN, "tiny-metadata"), options);
  assert.deepEqual(
    info.sections.map(({ name }) => name).sort(),
    ["exif", "icc", "xmp"].filter((name) => name in { icc, exif, xmp }),
  );
  assert.ok(icc || exif || xmp);
  const { xmp: text } = await decode(vaec(GOLDEN, "tiny-unknown-sections"), options);
  assert.equal(new TextDecoder().decode(text), "<x:xmpmeta/>");
});

test("alpha", async () => {
  const { rgba, hasAlpha } = await decode(vaec(GOLDEN, "tiny-alpha"), options);
  const values = new Set(Array.from({ length: rgba.length / 4 }, (_, i) => rgba[4 * i + 3]!));
  assert.ok(hasAlpha && values.size > 8);
  const opaque = await decode(vaec(GOLDEN, "tiny-opaque-alpha"), options);
  assert.ok(opaque.hasAlpha && opaque.rgba.every((value, i) => i % 4 !== 3 || value === 255));
});

test("gray", async () => {
  const { rgba, gray } = await decode(vaec(GOLDEN, "tiny-gray"), options);
  assert.ok(gray && rgba.every((value, i) => i % 4 === 3 || value === rgba[i - (i % 4)]));
});

test("salvage shows what is sound", async () => {
  const bytes = new Uint8Array(vaec(GOLDEN, "tiny-tiles")),
    whole = await decode(bytes, options);
  const broken = bytes.slice();
  broken[broken.length - 9]! ^= 4; // in the last group
  await assert.rejects(decode(broken, options), /checksum of group 5 of 6/);
  const { rgba, damaged, width, height } = await decode(broken, { ...options, salvage: true });
  assert.equal(damaged.length, 1);
  const [box] = damaged as [(typeof damaged)[0]];
  assert.deepEqual([box.x + box.width, box.y + box.height], [width, height]);
  assert.ok(box.x > 0 && box.y > 0);
  for (let i = 0; i < rgba.length; i++) {
    const x = (i >> 2) % width,
      y = Math.floor((i >> 2) / width),
      lost = x >= box.x && y >= box.y;
    assert.equal(rgba[i], lost && i % 4 < 3 ? 128 : whole.rgba[i]);
  }
  const truncated = await decode(bytes.slice(0, -5), { ...options, salvage: true });
  assert.deepEqual(truncated.rgba, rgba);
  const small = await preview(broken, { ...options, salvage: true });
  assert.equal(small.damaged.length, 1);
});

test("salvage names damaged sections", async () => {
  const bytes = new Uint8Array(vaec(GOLDEN, "tiny-alpha")),
    { sections, bytes: size } = inspect(bytes);
  bytes[size - sections[0]!.bytes - 40]! ^= 1;
  const { damagedSections, damaged } = await decode(bytes, { ...options, salvage: true }).catch(() => ({
    damagedSections: ["?"],
    damaged: [],
  }));
  assert.ok(damagedSections.length === 1 && !damaged.length);
});

test("previews are the means of 8x8 pixels, about", async () => {
  for (const name of ["tiny-131x97", "tiny-tiles", "tiny-tiles-alpha", "tiny-gray", "tiny-1x33"]) {
    const whole = await decode(vaec(GOLDEN, name), options),
      small = await preview(vaec(GOLDEN, name), options);
    assert.deepEqual([small.width, small.height], [Math.ceil(whole.width / 8), Math.ceil(whole.height / 8)]);
    let sum = 0;
    for (let y = 0; y < small.height; y++) {
      for (let x = 0; x < small.width; x++) {
        for (let c = 0; c < 4; c++) {
          let mean = 0,
            count = 0;
          for (let v = 8 * y; v < Math.min(8 * y + 8, whole.height); v++) {
            for (let u = 8 * x; u < Math.min(8 * x + 8, whole.width); u++, count++)
              mean += whole.rgba[4 * (v * whole.width + u) + c]!;
          }
          const difference = Math.abs(mean / count - small.rgba[4 * (y * small.width + x) + c]!);
          if (c === 3) assert.ok(difference <= 0.5);
          sum += difference;
        }
      }
    }
    assert.ok(sum / small.rgba.length < 6, `${name}: ${sum / small.rgba.length}`);
  }
});
