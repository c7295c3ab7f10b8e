/** The residual blocks of the transforms at 1/8 resolution (FORMAT.md, section 7). */
import { type Kernel, LEAKY, PLAIN, SCALED_RESIDUAL } from "./kernel.js";
import { type Layer, type Nets, padded } from "./nets.js";
import type { Rate } from "./rate.js";

/** A pointwise layer on rows of `stride` floats. */
export function apply(
  kernel: Kernel,
  { weight, bias, inputs, panels }: Layer,
  x: number,
  rows: number,
  stride: number,
  out: number,
  mode: number,
  scale = 0,
  outStride = 8 * panels,
): void {
  kernel.run.pointwise(x, rows, stride, inputs, weight, bias, panels, out, outStride, mode, scale);
}

/** All blocks of a transform, in place at `t`, (height, width, padded channels). `a` and `b` are room for as many
 * pixels, `a` of the hidden channels, too. */
export function residualBlocks(
  nets: Nets,
  transform: "analysis" | "synthesis",
  rate: Rate,
  t: number,
  height: number,
  width: number,
  a: number,
  b: number,
): void {
  const { kernel } = nets,
    { config } = nets.model,
    { channels: c, expansion } = config,
    count = height * width;
  const blocks = transform === "analysis" ? config.encoder_blocks : config.decoder_blocks;
  const size = padded(c),
    inner = padded(expansion * c),
    rates = nets.halves(`${transform}.blocks.rate`);
  for (let i = 0; i < blocks; i++) {
    const layer = (name: string) => nets.layer(`${transform}.blocks.layers.${i}.${name}`);
    const scale = kernel.put(blockScale(rates, rate, i, blocks, c)),
      spatial = layer("spatial");
    apply(kernel, layer("mix_in"), t, count, size, a, LEAKY, 0, size);
    kernel.run.depthwise(a, height, width, size, spatial.weight, spatial.bias, b, PLAIN);
    apply(kernel, layer("mix_out"), b, count, size, t, SCALED_RESIDUAL, scale, size);
    apply(kernel, layer("expand"), t, count, size, a, LEAKY, 0, inner);
    apply(kernel, layer("contract"), a, count, inner, t, SCALED_RESIDUAL, scale, size);
  }
}

/** Factors of the branches of a block at a rate, for each channel. */
function blockScale(rates: Float32Array, rate: Rate, block: number, blocks: number, channels: number): Float32Array {
  const t = rate.fraction / 65536,
    at = (rate.anchor * blocks + block) * channels,
    next = at + blocks * channels;
  const scale = new Float32Array(padded(channels));
  for (let c = 0; c < channels; c++) scale[c] = 2 ** (rates[at + c]! * (1 - t) + rates[next + c]! * t) / 10;
  return scale;
}
