/** Pictures of an eighth of the size. */
import { Container, ICC, MAX_PIXELS } from "./container.js";
import { Groups, type Rgba, copyRows, decodePicture, each, engineOf, readSections, setAlpha } from "./decode.js";
import { throwIfAborted } from "./engine.js";
import { clipped, scaled } from "./grid.js";
import type { Decoded, Options } from "./types.js";

export async function previewPicture(bytes: Uint8Array, options: Options): Promise<Decoded> {
  const container = new Container(bytes, options.maxPixels ?? MAX_PIXELS, options.salvage);
  const { grid, gray, hasAlpha, kept } = container;
  const width = Math.ceil(container.width / 8),
    height = Math.ceil(container.height / 8);
  if (kept !== "latents") {
    const { rgba, ...whole } = await decodePicture(bytes, options);
    return { ...whole, width, height, rgba: eighth(rgba, container.width, container.height) };
  }
  const { alpha, damaged: damagedSections, icc } = readSections(container, options, [ICC]);
  const engine = await engineOf(container, options),
    groups = new Groups(container, engine, options.salvage ?? false);
  const rgba = new Uint8ClampedArray(4 * width * height).fill(128),
    image = { top: 0, left: 0, bottom: height, right: width };
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  await each(grid.count, 2 * engine.parallel, async (i) => {
    throwIfAborted(options.signal);
    const latents = await groups.get(i),
      box = grid.tile(i),
      size = { height: box.bottom - box.top, width: box.right - box.left };
    groups.drop(i);
    if (!latents) return;
    const small = await engine.run({ kind: "small", latents, ...size });
    const whole = scaled(box, 2),
      part = clipped(whole, image);
    copyRows(cropped(small, 2 * size.width, part.right - part.left, part.bottom - part.top), part, rgba, width);
  });
  if (alpha) {
    const plane = new Uint8ClampedArray(4 * container.width * container.height);
    setAlpha(plane, alpha);
    const small = eighth(plane, container.width, container.height);
    for (let i = 3; i < rgba.length; i += 4) rgba[i] = small[i]!;
  }
  const lost = groups.damaged.map((i) => clipped(scaled(grid.tile(i), 2), image));
  return {
    width,
    height,
    rgba,
    gray,
    hasAlpha,
    kept,
    damagedSections,
    info: container.facts(),
    ...(icc ? { icc } : {}),
    damaged: lost.map((box) => ({
      x: box.left,
      y: box.top,
      width: box.right - box.left,
      height: box.bottom - box.top,
    })),
  };
}

/** The first columns and rows of an RGBA picture that has `stride` pixels a row. */
function cropped(rgba: Uint8Array, stride: number, width: number, height: number): Uint8Array {
  if (stride === width) return rgba.subarray(0, 4 * width * height);
  const out = new Uint8Array(4 * width * height);
  for (let y = 0; y < height; y++) out.set(rgba.subarray(4 * y * stride, 4 * (y * stride + width)), 4 * y * width);
  return out;
}

/** Means of 8x8 pixels; of fewer at the edges. */
function eighth(rgba: Rgba, width: number, height: number): Rgba {
  const columns = Math.ceil(width / 8),
    rows = Math.ceil(height / 8),
    out = new Uint8ClampedArray(4 * columns * rows);
  for (let y = 0, to = 0; y < rows; y++) {
    const bottom = Math.min(8 * y + 8, height);
    for (let x = 0; x < columns; x++, to += 4) {
      const right = Math.min(8 * x + 8, width),
        count = (bottom - 8 * y) * (right - 8 * x),
        sum = [0, 0, 0, 0];
      for (let v = 8 * y; v < bottom; v++) {
        for (let i = 4 * (v * width + 8 * x); i < 4 * (v * width + right); i++) sum[i & 3]! += rgba[i]!;
      }
      for (let c = 0; c < 4; c++) out[to + c] = Math.floor((sum[c]! + count / 2) / count);
    }
  }
  return out;
}
