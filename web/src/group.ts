/** From the two streams of a group to its latents (FORMAT.md, section 4): the same integers on every machine. */
import { damaged } from "./bytes.js";
import type { Streams } from "./container.js";
import { FLOOR, POSITIVE, POSITIVE_RESIDUAL, SIGNED } from "./kernel.js";
import { FIRST, type Layer, type Nets, padded } from "./nets.js";
import { type Rate, powers } from "./rate.js";

/** Latents int32 in 1/16 symbol, (height, width, channels). Throws where a stream is invalid. */
export function decodeGroup(
  nets: Nets,
  rate: Rate,
  streams: Streams,
  height: number,
  width: number,
): Int32Array<ArrayBuffer> {
  return nets.kernel.scoped(() => new Group(nets, rate, height, width).decode(streams));
}

/** Addresses of what a step codes, (position, channel, quad): means and symbols int32, scale indices as bytes; and of
 * room for their order. */
export interface Areas {
  mean: number;
  symbols: number;
  order: number;
  index: number;
  ends: number;
}

/** The prior of one group, for decoding and encoding: addresses and sizes of what it needs. Arrays are (rows, columns,
 * channels), channels padded. */
export class Group {
  private readonly kernel;
  private readonly config;
  readonly rows: number;
  readonly columns: number;
  readonly quads: number;

  constructor(
    private readonly nets: Nets,
    private readonly rate: Rate,
    private readonly height: number,
    private readonly width: number,
  ) {
    this.kernel = nets.kernel;
    this.config = nets.model.config;
    this.rows = height / 2;
    this.columns = width / 2;
    this.quads = this.rows * this.columns;
  }

  decode({ hyper, latent }: Streams): Int32Array<ArrayBuffer> {
    const { kernel, nets, quads } = this,
      { latents: m, hyper_latents: z } = this.config,
      { run } = kernel;
    const { count, tables } = this.hyper,
      symbols = kernel.take(4 * z * count);
    run.startDecoder(kernel.put(hyper), hyper.length / 4);
    if (!run.decodeRuns(tables, z, count, symbols)) throw damaged("a coded stream is invalid");
    if (!run.finishDecoder()) throw damaged("a coded stream is longer than its symbols");
    const latents = this.code(
      symbols,
      () => run.startDecoder(kernel.put(latent), latent.length / 4),
      (_, { index, symbols, order, ends }) => {
        if (!run.decodeKeyed(nets.latentTables.index, index, m * quads, symbols, order, ends)) {
          throw damaged("a coded stream is invalid");
        }
      },
    );
    if (!run.finishDecoder()) throw damaged("a coded stream is longer than its symbols");
    return latents;
  }

  /** Hyper latents: how many positions they have, and the address of the tables of their channels. */
  get hyper(): { rows: number; columns: number; count: number; tables: number } {
    const rows = Math.ceil(this.height / 4),
      columns = Math.ceil(this.width / 4);
    const first = this.config.hyper_latents * this.rate.nearest;
    return { rows, columns, count: rows * columns, tables: this.nets.hyperTables.index + 8 * first };
  }

  /** Latents (height, width, channels) from hyper symbols, int32 (channels, positions); `step` sets or reads the
   * symbols of each of the four steps. */
  code(hyperSymbols: number, begin: () => void, step: (step: number, areas: Areas) => void): Int32Array<ArrayBuffer> {
    const { kernel, quads, height, width } = this,
      { latents: m, hyper_channels: h } = this.config;
    const y = kernel.take(4 * m * height * width);
    // Features and levels of the latents of each quad position, as the heads of the steps want them.
    const stride = h + 6 * (m / 4),
      inputs = [0, 1, 2, 3].map(() => kernel.floats(stride * quads));
    kernel.scoped(() => this.features(hyperSymbols, inputs, stride));
    const [mean, symbols, order] = [0, 0, 0].map(() => kernel.take(4 * m * quads)) as [number, number, number];
    const areas = { mean, symbols, order, index: kernel.take(m * quads), ends: kernel.take(256) };
    begin();
    for (let s = 0; s < 4; s++) {
      kernel.scoped(() => this.context(s, inputs, stride, mean, areas.index));
      step(s, areas);
      kernel.scoped(() => this.join(s, symbols, mean, y, inputs, stride));
    }
    return new Int32Array(kernel.bytes(y, 4 * m * height * width).slice().buffer);
  }

  private pointwise(
    layer: Layer,
    x: number,
    count: number,
    stride: number,
    out: number,
    mode: number,
    bias = layer.bias,
  ) {
    const { weight, inputs, panels } = layer;
    this.kernel.run.pointwise(x, count, stride, inputs, weight, bias, panels, out, 8 * panels, mode, 0);
  }

  private depthwise(layer: Layer, x: number, height: number, width: number, out: number): void {
    this.kernel.run.depthwise(x, height, width, 8 * layer.panels, layer.weight, layer.bias, out, SIGNED);
  }

  /** Biases of a layer with a rate bias in 1/16 level. */
  private biased(layer: Layer, rate: Int32Array): number {
    const { kernel } = this,
      out = kernel.put(kernel.float32(layer.bias, 8 * layer.panels).slice());
    const bias = kernel.float32(out, rate.length);
    rate.forEach((r, o) => (bias[o]! += r / 16));
    return out;
  }

  /** The hyper synthesis. */
  private features(symbols: number, inputs: number[], stride: number): void {
    const { kernel, nets, rate, config } = this,
      { hyper_latents: z, hyper_channels: h } = config;
    const { rows, columns, count } = this.hyper,
      size = padded(h),
      u = kernel.floats(padded(z) * count);
    const gains = kernel.put(powers(rate.integers("hyper_gain"), -1));
    kernel.run.hyperLevels(symbols, z, count, gains, u, padded(z));

    const layer = (name: string) => nets.layer(`prior.hyper_synthesis.${name}`);
    const t = kernel.floats(16 * size * count),
      s = kernel.floats(16 * size * count);
    const wide = kernel.floats(4 * padded(4 * h) * count);
    this.pointwise(
      layer("stem"),
      u,
      count,
      padded(z),
      t,
      POSITIVE,
      this.biased(layer("stem"), rate.integers("prior.hyper_rate")),
    );
    for (const scale of [1, 2]) {
      const cells = count * scale * scale;
      this.depthwise(layer(`spatial${scale}`), t, rows * scale, columns * scale, s);
      this.pointwise(layer(`up${scale}`), s, cells, size, wide, POSITIVE);
      kernel.run.up(wide, rows * scale, columns * scale, padded(4 * h), h, t, size);
    }
    this.depthwise(layer("spatial3"), t, 4 * rows, 4 * columns, s);
    this.pointwise(layer("head"), s, 16 * count, size, t, POSITIVE_RESIDUAL);
    this.gather(t, 4 * columns, size, h, inputs, stride, false);
  }

  /** Between (rows, columns) of `width` pixels and the four quad positions. */
  private gather(x: number, width: number, from: number, channels: number, parts: number[], to: number, back: boolean) {
    parts.forEach((part, p) => {
      const at = x + 4 * from * ((p >> 1) * width + (p & 1));
      this.kernel.run.gather(at, width, from, this.rows, this.columns, channels, part, to, Number(back));
    });
  }

  /** Means and scale indices of what a step decodes, both (position, channel, quad). */
  private context(step: number, inputs: number[], stride: number, mean: number, index: number): void {
    const { kernel, nets, rate, config, quads } = this,
      { context_channels: k, latents: m } = config;
    const size = padded(k),
      quarter = m / 4,
      outs = nets.outs[step]!;
    const t = kernel.floats(size * 4 * quads),
      s = kernel.floats(size * 4 * quads);
    const parts = [0, 1, 2, 3].map((p) => s + 4 * size * quads * p);
    nets.heads[step]!.forEach((head, p) => {
      const bias = this.biased(head, rate.integers("prior.step_rate", step));
      this.pointwise(head, inputs[p]!, quads, stride, parts[p]!, POSITIVE, bias);
    });
    this.gather(t, this.width, size, size, parts, size, true);
    for (let i = 0; i < config.context_blocks; i++) {
      this.depthwise(nets.layer(`prior.steps.${step}.blocks.${i}.spatial`), t, this.height, this.width, s);
      this.pointwise(nets.layer(`prior.steps.${step}.blocks.${i}.mix`), s, 4 * quads, size, t, POSITIVE_RESIDUAL);
    }
    this.gather(t, this.width, size, size, parts, size, false);
    const out = kernel.floats(8 * outs[0]!.panels * quads);
    outs.forEach((layer, p) => {
      this.pointwise(layer, parts[p]!, quads, size, out, FLOOR);
      const gains = this.gains(step, p),
        at = p * quarter * quads;
      kernel.run.scales(
        out,
        quads,
        8 * layer.panels,
        quarter,
        kernel.put(gains),
        kernel.put(powers(gains, 1)),
        mean + 4 * at,
        index + at,
      );
    });
  }

  /** Gains of the channels that a quad position has in a step. */
  gains(step: number, p: number): Int32Array {
    return this.rate.gain.filter((_, c) => c % 4 === (p ^ FIRST[step]!));
  }

  /** From symbols to latents, and to what later steps see of them. */
  private join(step: number, symbols: number, mean: number, y: number, inputs: number[], stride: number): void {
    const { kernel, quads, width } = this,
      { latents: m, hyper_channels: h } = this.config,
      quarter = m / 4;
    // The last step has nobody to see its levels.
    const spare = step === 3 ? kernel.floats(quads * stride) : 0;
    for (let p = 0; p < 4; p++) {
      const at = 4 * p * quarter * quads,
        first = p ^ FIRST[step]!;
      const levels = spare || inputs[p]! + 4 * (h + 2 * step * quarter);
      kernel.run.joinLatents(
        symbols + at,
        mean + at,
        quarter,
        this.rows,
        this.columns,
        kernel.put(powers(this.gains(step, p), -1)),
        y + 4 * (((p >> 1) * width + (p & 1)) * m + first),
        m,
        levels,
        stride,
      );
    }
  }
}
