/** PNG files hold exactly the pixels, and the metadata; zlib streams are read as zlib reads them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import sharp from "sharp";
import { decode, toPng } from "../src/index.js";
import { inflate } from "../src/inflate.js";
import { GOLDEN, TINY, vaec } from "./files.js";
import { generator } from "./mutants.js";

const options = { weights: { b948fc7b: TINY }, workers: 0 };

for (const name of ["tiny-131x97", "tiny-alpha", "tiny-gray", "tiny-gray-alpha", "tiny-1x1", "tiny-tiles"]) {
  test(`PNG of ${name}`, async () => {
    const picture = await decode(vaec(GOLDEN, name), options),
      png = await toPng(picture);
    const image = sharp(png),
      { channels, width, height } = await image.metadata();
    assert.deepEqual([width, height], [picture.width, picture.height]);
    assert.equal(channels, (picture.gray ? 1 : 3) + Number(picture.hasAlpha));
    const raw = await image.toColourspace("srgb").ensureAlpha().raw().toBuffer();
    assert.deepEqual(new Uint8Array(raw), new Uint8Array(picture.rgba));
  });
}

test("PNG with metadata", async () => {
  const picture = await decode(vaec(GOLDEN, "tiny-131x97"), options);
  const { icc } = await sharp({ create: { width: 1, height: 1, channels: 3, background: "red" } })
    .withIccProfile("srgb")
    .png()
    .toBuffer()
    .then((data) => sharp(data).metadata());
  const exif = Uint8Array.from(
    [..."Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"].map((c) => c.charCodeAt(0)),
  );
  const xmp = new TextEncoder().encode("<x:xmpmeta/>");
  const found = await sharp(await toPng({ ...picture, icc: new Uint8Array(icc!), exif, xmp })).metadata();
  assert.deepEqual(found.icc, icc);
  assert.ok(Buffer.from(found.exif!).includes(Buffer.from(exif.subarray(6))));
  assert.equal(String(found.xmp), "<x:xmpmeta/>");
});

test("inflate agrees with zlib", () => {
  const random = generator(1);
  for (let i = 0; i < 300; i++) {
    const data = Uint8Array.from({ length: random(3000) }, (_, k) => (i % 3 ? random(1 + (i % 40)) : (k * k) >> 5));
    const level = i % 10,
      strategy = i % 5,
      stream = new Uint8Array(deflateSync(data, { level, strategy }));
    assert.deepEqual(inflate(stream, data.length), data);
    assert.throws(() => inflate(Uint8Array.from([...stream, 0]), data.length), /foreign bytes/);
    if (data.length) assert.throws(() => inflate(stream, data.length - 1), /too large/);
    assert.throws(() => inflate(stream.subarray(0, -1), data.length));
    const broken = stream.slice();
    broken[random(broken.length)]! ^= 1 << random(8);
    let theirs: Uint8Array | undefined;
    try {
      theirs = inflateSync(broken);
    } catch {
      assert.throws(() => inflate(broken, 2 ** 16));
    }
    // What zlib reads we read alike, or refuse it: bytes that follow it does not see.
    if (theirs)
      try {
        assert.deepEqual(inflate(broken, 2 ** 16), new Uint8Array(theirs));
      } catch (error) {
        assert.match((error as Error).message, /foreign bytes/);
      }
  }
});
