/** The nets of a model in the kernel's memory: weights as float32, packed for it. */
import { BYTE, HALF, type Kernel, SINGLE } from "./kernel.js";
import type { Model } from "./model.js";

/** The channel group that quad position 0 has in each context step; position p has `p ^ FIRST[step]`. */
export const FIRST = [0, 3, 1, 2] as const;

/** Channels as they lie in memory: whole vectors of 8. */
export function padded(channels: number): number {
  return (channels + 7) & ~7;
}

/** A layer: addresses of its weights and biases. */
export interface Layer {
  weight: number;
  bias: number;
  inputs: number;
  panels: number;
}

interface Tables {
  /** Of each table the address of its sums and its radius. */
  index: number;
}

/** Rows and columns of a matrix: the first, the step and how many. */
type Every = [first: number, step: number, count: number];

/** A model in the memory of a kernel, for as long as this lives. */
export class Nets {
  readonly latentTables: Tables;
  readonly hyperTables: Tables;
  /** Of context step s and quad position p: what its channels need. */
  readonly heads: Layer[][];
  readonly outs: Layer[][];
  private readonly layers = new Map<string, Layer>();

  /** `encoder`: with what only encoding needs, which whole model files have. */
  constructor(
    readonly kernel: Kernel,
    readonly model: Model,
    encoder = false,
  ) {
    const { config } = model,
      { hyper_channels: h, context_channels: k, latents: m } = config;
    this.latentTables = this.putTables(model.latentTables);
    this.hyperTables = this.putTables(model.hyperTables);
    for (const name of ["stem", "up1", "up2", "head"]) this.exact(`prior.hyper_synthesis.${name}`);
    for (const i of [1, 2, 3]) this.spatial(`prior.hyper_synthesis.spatial${i}`);
    const quarter = m / 4;
    this.heads = FIRST.map((_, step) =>
      [0, 1, 2, 3].map((p) => {
        const columns: Every[] = [[0, 1, h]];
        for (const first of FIRST.slice(0, step)) {
          columns.push([h + (p ^ first), 4, quarter], [h + m + (p ^ first), 4, quarter]);
        }
        return this.exact(`prior.steps.${step}.head`, [[0, 1, k]], columns, `${p}`);
      }),
    );
    this.outs = FIRST.map((first, step) =>
      [0, 1, 2, 3].map((p) =>
        this.exact(
          `prior.steps.${step}.out`,
          [
            [p ^ first, 4, quarter],
            [m + (p ^ first), 4, quarter],
          ],
          undefined,
          `${p}`,
        ),
      ),
    );
    for (let step = 0; step < 4; step++) {
      for (let i = 0; i < config.context_blocks; i++) {
        this.spatial(`prior.steps.${step}.blocks.${i}.spatial`);
        this.exact(`prior.steps.${step}.blocks.${i}.mix`);
      }
    }
    this.transform("synthesis", config.decoder_blocks);
    if (!encoder) return;
    this.transform("analysis", config.encoder_blocks);
    for (const name of ["stem", "mix", "down1", "down2", "head"]) this.float(`hyper_analysis.${name}`);
    for (const i of [1, 2]) this.spatial(`hyper_analysis.spatial${i}`);
  }

  private transform(name: "analysis" | "synthesis", blocks: number): void {
    const ends = ["stem", "head", ...(this.model.config.shortcut ? ["shortcut"] : [])];
    for (const end of ends) this.float(`${name}.${end}`);
    for (let i = 0; i < blocks; i++) {
      for (const layer of ["mix_in", "mix_out", "expand", "contract"])
        this.float(`${name}.blocks.layers.${i}.${layer}`);
      this.spatial(`${name}.blocks.layers.${i}.spatial`);
    }
  }

  layer(name: string): Layer {
    return this.layers.get(name)!;
  }

  /** The numbers of a float tensor. */
  halves(name: string): Float32Array {
    const { kernel } = this,
      { data } = this.model.tensor(name);
    return kernel.scoped(() => {
      const out = kernel.floats(data.length / 2);
      kernel.run.widen(kernel.put(data), data.length / 2, HALF, out);
      return kernel.float32(out, data.length / 2).slice();
    });
  }

  /** A layer made of plain numbers: weights (outputs, inputs). */
  plain(weights: Float32Array, bias: Float32Array): Layer {
    const inputs = weights.length / bias.length,
      rows: Every[] = [[0, 1, bias.length]];
    const layer = this.empty(inputs, padded(bias.length) / 8, bias);
    this.pack(new Uint8Array(weights.buffer), SINGLE, inputs, rows, [[0, 1, inputs]], undefined, layer);
    return layer;
  }

  private putTables(tables: Model["latentTables"]): Tables {
    const entries = Uint32Array.from(tables.flatMap(({ radius, firsts }) => [this.kernel.put(firsts), radius]));
    return { index: this.kernel.put(entries) };
  }

  /** What the sums of an integer layer are in its outputs: a factor for each. */
  private units(name: string): Float32Array {
    const shift = this.model.integers(`${name}.shift`),
      last = name.endsWith(".out");
    return Float32Array.from(shift, (s, o) => 2 ** -s * (last ? (2 * o < shift.length ? 32 : 128) : 1));
  }

  /** Biases of an integer layer in its outputs, with the half that rounds. */
  private roundedBias(name: string): Float32Array {
    const bias = this.model.integers(`${name}.bias`),
      last = name.endsWith(".out");
    return Float32Array.from(bias, (b, o) => (b / 16) * (last ? (2 * o < bias.length ? 32 : 128) : 1) + 0.5);
  }

  private exact(name: string, rows?: Every[], columns?: Every[], variant = ""): Layer {
    const { shape, data } = this.model.tensor(`${name}.weight`);
    rows ??= [[0, 1, shape[0]!]];
    columns ??= [[0, 1, shape[1]!]];
    const bias = this.roundedBias(name),
      chosen = rows.flatMap((every) => list(every).map((o) => bias[o]!));
    const inputs = columns.reduce((sum, [, , count]) => sum + count, 0);
    const layer = this.empty(inputs, padded(chosen.length) / 8, Float32Array.from(chosen));
    this.pack(data, BYTE, shape[1]!, rows, columns, this.units(name), layer);
    this.layers.set(name + variant, layer);
    return layer;
  }

  private float(name: string): void {
    const { shape, data } = this.model.tensor(`${name}.weight`),
      [outputs, inputs] = shape as [number, number];
    const layer = this.empty(inputs, padded(outputs) / 8, this.halves(`${name}.bias`));
    this.pack(data, HALF, inputs, [[0, 1, outputs]], [[0, 1, inputs]], undefined, layer);
    this.layers.set(name, layer);
  }

  /** A depthwise layer: weights (9, channels). */
  private spatial(name: string): void {
    const { kernel } = this,
      { dtype, shape } = this.model.tensor(`${name}.weight`),
      channels = shape[0]!;
    const exact = dtype === "I8",
      size = padded(channels);
    const layer = this.empty(9, size / 8, exact ? this.roundedBias(name) : this.halves(`${name}.bias`));
    const values = exact ? Float32Array.from(this.model.integers(`${name}.weight`)) : this.halves(`${name}.weight`);
    const units = exact ? this.units(name) : undefined,
      out = kernel.float32(layer.weight, 9 * size).fill(0);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < 9; i++) out[i * size + c] = values[9 * c + i]! * (units ? units[c]! : 1);
    }
    this.layers.set(name, layer);
  }

  private empty(inputs: number, panels: number, bias: Float32Array): Layer {
    const { kernel } = this,
      weight = kernel.floats(8 * inputs * panels),
      at = kernel.floats(8 * panels);
    kernel.float32(weight, 8 * inputs * panels).fill(0);
    kernel
      .float32(at, 8 * panels)
      .fill(0)
      .set(bias);
    return { weight, bias: at, inputs, panels };
  }

  private pack(
    data: Uint8Array,
    kind: number,
    length: number,
    rows: Every[],
    columns: Every[],
    units: Float32Array | undefined,
    layer: Layer,
  ): void {
    const { kernel } = this;
    kernel.scoped(() => {
      const source = kernel.put(data),
        last = Math.max(...rows.map(([first, step, count]) => first + step * count));
      const scale = kernel.put(units ?? new Float32Array(last).fill(1));
      let output = 0;
      for (const [row, rowStep, rowCount] of rows) {
        let offset = 0;
        for (const [column, step, count] of columns) {
          kernel.run.pack(
            source,
            kind,
            length,
            row,
            rowStep,
            rowCount,
            column,
            step,
            count,
            scale,
            layer.weight,
            layer.inputs,
            offset,
            output,
          );
          offset += count;
        }
        output += rowCount;
      }
    });
  }
}

function list([first, step, count]: Every): number[] {
  return Array.from({ length: count }, (_, i) => first + step * i);
}
