/** From pixels to the streams of a group: what an encoder does. */
import { apply, residualBlocks } from "./blocks.js";
import type { Streams } from "./container.js";
import type { Box } from "./grid.js";
import { Group } from "./group.js";
import { LEAKY, PLAIN, SCALED_RESIDUAL } from "./kernel.js";
import { FIRST, type Nets, padded } from "./nets.js";
import { thresholdShifts } from "./quantise.js";
import type { Rate } from "./rate.js";

/** Latent positions around a tile whose pixels the analysis needs. */
export function analysisHalo(encoderBlocks: number): number {
  return Math.ceil(encoderBlocks / 2);
}

/** What was coded: the streams of a group and its latents int32 in 1/16 symbol, (height, width, channels). */
export interface Encoded extends Streams {
  latents: Int32Array<ArrayBuffer>;
}

/** Encode a tile. pixels: RGBA, (rows, columns), of the tile and what lies around it, `height` x `width` latents in
 * all, of which the tile is `part`; beyond the edge of the image pixels may be missing. */
export function encodeGroup(
  nets: Nets,
  rate: Rate,
  pixels: Uint8Array,
  rows: number,
  columns: number,
  height: number,
  width: number,
  part: Box,
): Encoded {
  const { kernel } = nets,
    { latents: m, hyper_latents: z } = nets.model.config,
    { run } = kernel;
  return kernel.scoped(() => {
    const tall = part.bottom - part.top,
      wide = part.right - part.left,
      v = kernel.floats(m * tall * wide);
    kernel.scoped(() => {
      const around = analyse(nets, rate, pixels, rows, columns, height, width);
      for (let row = 0; row < tall; row++) {
        const from = around + 4 * m * ((part.top + row) * width + part.left);
        kernel.bytes(v + 4 * m * row * wide, 4 * m * wide).set(kernel.bytes(from, 4 * m * wide));
      }
    });
    const group = new Group(nets, rate, tall, wide),
      { count, tables } = group.hyper;
    const symbols = kernel.put(kernel.scoped(() => hyperSymbols(nets, rate, v, tall, wide, group)));
    const out = kernel.take(5 * z * count + 64);
    run.startEncoder(out);
    run.encodeRuns(tables, z, count, symbols);
    const hyper = kernel.bytes(out, 4 * run.finishEncoder()).slice();
    const stream = kernel.take(5 * m * tall * wide + 64),
      shifts = kernel.put(thresholdShifts(nets.model.latentTables));
    const latents = group.code(
      symbols,
      () => run.startEncoder(stream),
      (step, areas) => {
        kernel.scoped(() => {
          for (let p = 0; p < 4; p++) {
            const at = p * (m / 4) * group.quads,
              gains = Float32Array.from(group.gains(step, p), (g) => 2 ** (g / 256));
            const from = v + 4 * (((p >> 1) * wide + (p & 1)) * m + (p ^ FIRST[step]!));
            run.quantise(
              from,
              m,
              m / 4,
              group.rows,
              group.columns,
              kernel.put(gains),
              areas.mean + 4 * at,
              areas.index + at,
              shifts,
              areas.symbols + 4 * at,
            );
          }
        });
        run.encodeKeyed(nets.latentTables.index, areas.index, m * group.quads, areas.symbols, areas.order, areas.ends);
      },
    );
    return { hyper, latent: kernel.bytes(stream, 4 * run.finishEncoder()).slice(), latents };
  });
}

/** The address of normalised latents, float32 (height, width, channels). */
function analyse(
  nets: Nets,
  rate: Rate,
  pixels: Uint8Array,
  rows: number,
  columns: number,
  height: number,
  width: number,
): number {
  const { kernel } = nets,
    { channels: c, latents: m, expansion, shortcut } = nets.model.config,
    { run } = kernel;
  const layer = (name: string) => nets.layer(`analysis.${name}`),
    count = 4 * height * width,
    size = padded(c);
  const rgba = kernel.put(pixels),
    y = kernel.floats(padded(m) * height * width);
  const t = kernel.floats(size * count),
    b = kernel.floats(Math.max(size, 192, c) * count);
  const a = kernel.floats(Math.max(padded(expansion * c), size) * count);
  run.patches(rgba, rows, columns, 2 * height, 2 * width, 8, b);
  apply(kernel, layer("stem"), b, count, 192, t, PLAIN);
  residualBlocks(nets, "analysis", rate, t, 2 * height, 2 * width, a, b);
  run.down(t, height, width, size, c, b);
  apply(kernel, layer("head"), b, height * width, 4 * c, y, PLAIN);
  if (shortcut) {
    run.patches(rgba, rows, columns, height, width, 16, b);
    const one = kernel.put(new Float32Array(padded(m)).fill(1));
    apply(kernel, layer("shortcut"), b, height * width, 768, y, SCALED_RESIDUAL, one);
  }
  // Channels without padding from here on.
  if (padded(m) !== m) unpad(nets, y, height * width, m);
  const norm = Float32Array.from(nets.model.integers("norm"), (g) => 2 ** (g / 256));
  run.multiply(y, height * width, m, kernel.put(norm));
  return y;
}

function unpad({ kernel }: Nets, y: number, count: number, channels: number): void {
  for (let i = 1; i < count; i++) {
    kernel.bytes(y + 4 * channels * i, 4 * channels).set(kernel.bytes(y + 4 * padded(channels) * i, 4 * channels));
  }
}

/** Hyper symbols (channels, positions) of normalised latents. */
function hyperSymbols(nets: Nets, rate: Rate, v: number, height: number, width: number, group: Group): Int32Array {
  const { kernel } = nets,
    { latents: m, hyper_channels: h, hyper_latents: z } = nets.model.config,
    { run } = kernel;
  const { rows, columns, count } = group.hyper,
    size = padded(h),
    layer = (name: string) => nets.layer(`hyper_analysis.${name}`);
  const x = kernel.floats(Math.max(2 * m, 2 * size) * 16 * count),
    t = kernel.floats(size * 16 * count);
  run.hyperInputs(v, height, width, m, 4 * rows, 4 * columns, x);
  const stem = layer("stem"),
    bias = kernel.float32(stem.bias, size).slice(),
    rates = nets.halves("hyper_analysis.rate");
  const f = rate.fraction / 65536,
    at = rate.anchor * h;
  for (let c = 0; c < h; c++) bias[c]! += rates[at + c]! * (1 - f) + rates[at + h + c]! * f;
  apply(kernel, { ...stem, bias: kernel.put(bias) }, x, 16 * count, 2 * m, t, LEAKY);
  apply(kernel, layer("mix"), t, 16 * count, size, x, LEAKY);
  for (const [i, cells] of [
    [1, 4],
    [2, 1],
  ] as const) {
    const scale = cells === 4 ? 2 : 1,
      spatial = layer(`spatial${i}`);
    run.down(x, rows * scale, columns * scale, size, h, t);
    apply(kernel, layer(`down${i}`), t, cells * count, 4 * h, x, LEAKY);
    run.depthwise(x, rows * scale, columns * scale, size, spatial.weight, spatial.bias, t, PLAIN);
    kernel.bytes(x, 4 * size * cells * count).set(kernel.bytes(t, 4 * size * cells * count));
  }
  const out = kernel.floats(padded(z) * count);
  apply(kernel, layer("head"), x, count, size, out, PLAIN);
  const values = kernel.float32(out, padded(z) * count),
    symbols = new Int32Array(z * count);
  const gains = Array.from(rate.integers("hyper_gain"), (g) => 2 ** (g / 256));
  for (let c = 0, to = 0; c < z; c++) {
    for (let i = 0; i < count; i++) {
      symbols[to++] = Math.min(Math.max(Math.round(values[i * padded(z) + c]! * gains[c]!), -64), 64);
    }
  }
  return symbols;
}
