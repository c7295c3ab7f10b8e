/** vaecodec/encode: pictures to .vaec files, with the models and the kernel that decode them. */
import { ALPHA, EXIF, ICC, MAX_PIXELS, OPAQUE, type Streams, XMP } from "./container.js";
import { each } from "./decode.js";
import { engineFor, throwIfAborted } from "./engine.js";
import { type Box, Grid, clipped, countedPixels, grown, scaled } from "./grid.js";
import { DEFAULT } from "./models.js";
import { deflate, grayPng } from "./png.js";
import { type EncodeOptions, type Source, VaecodecError } from "./types.js";
import { writeContainer } from "./writer.js";

export * from "./types.js";

const TILE_LOG2 = 10,
  DEFAULT_QUALITY = 60,
  MAX_SIDE = 2 ** 20;

/** A picture as a .vaec file. Rejects with a VaecodecError. */
export async function encode(source: Source, options: EncodeOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = source,
    quality = Math.round((options.quality ?? DEFAULT_QUALITY) * 100);
  check(source, quality, options);
  const model = options.model ?? DEFAULT;
  const gray = source.gray ?? isGray(source.rgba),
    tileLog2 = Math.max(width, height) > 1 << TILE_LOG2 ? TILE_LOG2 : null;
  const setting = {
    identity: model,
    quality,
    gray,
    kernel: options.kernel ?? ("auto" as const),
    known: {},
    encoder: true,
  };
  const engine = await engineFor(setting, width * height, options),
    { analysisHalo } = await engine.run({ kind: "sizes" });
  const grid = new Grid(width, height, tileLog2),
    groups: Streams[] = [],
    rgba = filled(source);
  let done = 0;
  await each(grid.count, engine.parallel, async (i) => {
    throwIfAborted(options.signal);
    const tile = grid.tile(i),
      around = clipped(grown(tile, analysisHalo), grid.bounds);
    const pixels = clipped(scaled(around, 16), { top: 0, left: 0, bottom: height, right: width });
    const { hyper, latent } = await engine.run({
      kind: "encode",
      pixels: cut(rgba, width, pixels),
      rows: pixels.bottom - pixels.top,
      columns: pixels.right - pixels.left,
      height: around.bottom - around.top,
      width: around.right - around.left,
      part: {
        top: tile.top - around.top,
        left: tile.left - around.left,
        bottom: tile.bottom - around.top,
        right: tile.right - around.left,
      },
    });
    groups[i] = { hyper, latent };
    options.progress?.(++done / grid.count);
  });
  return writeContainer({ width, height, quality, model, gray, tileLog2 }, groups, await sectionsOf(source));
}

function fail(code: VaecodecError["code"], message: string): never {
  throw new VaecodecError(code, message);
}

function check({ width, height, rgba }: Source, quality: number, { maxPixels = MAX_PIXELS }: EncodeOptions): void {
  const sides = [width, height].every((side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE);
  if (!sides || rgba.length !== 4 * width * height)
    fail("unsupported", "the picture has no pixels, or not as many as its size says");
  if (countedPixels(width, height) > maxPixels)
    fail("limit", `the picture has more pixels than the limit of ${maxPixels}`);
  if (!(quality >= 100 && quality <= 10000)) fail("unsupported", "quality must be a number from 1 to 100");
}

function isGray(rgba: ArrayLike<number>): boolean {
  for (let i = 0; i < rgba.length; i += 4) if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  return true;
}

/** Pixels of a box, RGBA. */
function cut(rgba: Uint8Array, width: number, box: Box): Uint8Array<ArrayBuffer> {
  const size = 4 * (box.right - box.left),
    out = new Uint8Array(size * (box.bottom - box.top));
  for (let row = box.top, to = 0; row < box.bottom; row++, to += size) {
    const from = 4 * (row * width + box.left);
    out.set(rgba.subarray(from, from + size), to);
  }
  return out;
}

/** The pixels, with the mean of what shows where all is hidden: nobody sees those, and edges cost bits. */
function filled({ rgba }: Source): Uint8Array {
  const bytes = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length),
    sum = [0, 0, 0];
  let shown = 0;
  for (let i = 0; i < bytes.length; i += 4) {
    if (!bytes[i + 3]) continue;
    shown++;
    for (let c = 0; c < 3; c++) sum[c]! += bytes[i + c]!;
  }
  if (4 * shown === bytes.length) return bytes;
  const mean = sum.map((total) => Math.round(total / Math.max(shown, 1))),
    out = bytes.slice();
  for (let i = 0; i < out.length; i += 4) if (!out[i + 3]) out.set(mean, i);
  return out;
}

async function sectionsOf(source: Source): Promise<Map<number, Uint8Array>> {
  const { width, height, rgba, icc, exif, xmp } = source,
    sections = new Map<number, Uint8Array>();
  const alpha = Uint8Array.from({ length: width * height }, (_, i) => rgba[4 * i + 3]!);
  if (alpha.some((value) => value < 255)) sections.set(ALPHA, await grayPng(alpha, width, height));
  else if (source.hasAlpha) sections.set(OPAQUE, new Uint8Array());
  for (const [kind, data] of [
    [EXIF, exif],
    [ICC, icc],
    [XMP, xmp],
  ] as const) {
    if (data?.length) sections.set(kind, await deflate([data]));
  }
  return sections;
}
