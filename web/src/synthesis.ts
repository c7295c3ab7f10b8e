/** From latents to pixels (FORMAT.md, section 7). */
import { apply, residualBlocks } from "./blocks.js";
import type { Box } from "./grid.js";
import { PLAIN } from "./kernel.js";
import { type Layer, type Nets, padded } from "./nets.js";
import type { Rate } from "./rate.js";

/** Latent positions around pixels that they depend on. */
export function haloOf(decoderBlocks: number): number {
  return Math.ceil(decoderBlocks / 2);
}

/** The pixels of a part (in pixels) of a window as RGBA, from its latents (height, width, channels). */
export function synthesise(
  nets: Nets,
  rate: Rate,
  latents: Int32Array,
  height: number,
  width: number,
  part: Box,
  gray: boolean,
): Uint8Array<ArrayBuffer> {
  const { kernel } = nets,
    { shortcut } = nets.model.config;
  return kernel.scoped(() => {
    const v = normalised(nets, rate, latents, height * width);
    const head = residualNet(nets, rate, v, height, width),
      count = height * width;
    const around = shortcut ? kernel.floats(768 * count) : 0;
    if (shortcut) apply(kernel, nets.layer("synthesis.shortcut"), v, count, nets.model.config.latents, around, PLAIN);
    const rows = part.bottom - part.top,
      columns = part.right - part.left,
      out = kernel.take(4 * rows * columns);
    kernel.run.picture(head, around, width, part.top, part.left, rows, columns, out, 4 * columns, Number(gray));
    return kernel.bytes(out, 4 * rows * columns).slice();
  });
}

/** An eighth of the size, (2 height, 2 width) RGBA: the means of 8x8 pixels without the residual blocks. */
export function synthesiseSmall(
  nets: Nets,
  rate: Rate,
  latents: Int32Array,
  height: number,
  width: number,
  gray: boolean,
): Uint8Array<ArrayBuffer> {
  const { kernel } = nets,
    { channels: c, latents: m, shortcut } = nets.model.config,
    count = height * width;
  return kernel.scoped(() => {
    const v = normalised(nets, rate, latents, count),
      stem = nets.layer("synthesis.stem");
    const wide = kernel.floats(8 * stem.panels * count),
      t = kernel.floats(4 * padded(c) * count);
    apply(kernel, stem, v, count, m, wide, PLAIN);
    kernel.run.up(wide, height, width, 8 * stem.panels, c, t, padded(c));
    const head = kernel.floats(8 * 4 * count),
      around = shortcut ? kernel.floats(16 * count) : 0;
    apply(
      kernel,
      meanLayer(nets, "head", 3, (o) => o % 3),
      t,
      4 * count,
      padded(c),
      head,
      PLAIN,
    );
    if (shortcut) {
      // Output (16 i + j) 3 + c of the shortcut lies in the quarter (i >> 3, j >> 3).
      const quarter = (o: number) => (Math.floor(o / 384) * 2 + (Math.floor(o / 24) & 1)) * 3 + (o % 3);
      apply(kernel, meanLayer(nets, "shortcut", 12, quarter), v, count, m, around, PLAIN);
    }
    const out = kernel.take(16 * count);
    kernel.run.smallPicture(head, around, height, width, out, Number(gray));
    return kernel.bytes(out, 16 * count).slice();
  });
}

/** A layer whose outputs are the means of 64 of another's each, as `place` sorts them. */
function meanLayer(nets: Nets, name: string, outputs: number, place: (output: number) => number): Layer {
  const weight = nets.halves(`synthesis.${name}.weight`),
    bias = nets.halves(`synthesis.${name}.bias`);
  const inputs = weight.length / bias.length,
    means = new Float32Array(outputs * inputs),
    shift = new Float32Array(outputs);
  bias.forEach((b, o) => {
    const to = place(o);
    shift[to]! += b / 64;
    for (let i = 0; i < inputs; i++) means[to * inputs + i]! += weight[o * inputs + i]! / 64;
  });
  return nets.plain(means, shift);
}

function normalised(nets: Nets, rate: Rate, latents: Int32Array, count: number): number {
  const { kernel } = nets,
    v = kernel.put(latents);
  kernel.run.dequantise(v, count, nets.model.config.latents, kernel.put(rate.factors));
  return v;
}

/** Stem, blocks and head; the address of (2 height, 2 width, 192). */
function residualNet(nets: Nets, rate: Rate, v: number, height: number, width: number): number {
  const { kernel } = nets,
    { channels: c, latents: m, expansion } = nets.model.config;
  const size = padded(c),
    inner = padded(expansion * c),
    count = 4 * height * width;
  const stem = nets.layer("synthesis.stem");
  const t = kernel.floats(size * count),
    b = kernel.floats(size * count);
  const a = kernel.floats(Math.max(inner, size, 192, 2 * stem.panels) * count);
  apply(kernel, stem, v, height * width, m, a, PLAIN);
  kernel.run.up(a, height, width, 8 * stem.panels, c, t, size);
  residualBlocks(nets, "synthesis", rate, t, 2 * height, 2 * width, a, b);
  apply(kernel, nets.layer("synthesis.head"), t, count, size, a, PLAIN);
  return a;
}
