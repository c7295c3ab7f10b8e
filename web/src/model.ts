/** Model files: safetensors, whole or slim, checked before anything is believed (FORMAT.md, section 6). */
import { plain } from "./bytes.js";
import { exactLayers, floatLayers } from "./layers.js";
import { VaecodecError } from "./types.js";

const MAX_BYTES = 2 ** 27,
  MAX_HEADER = 2 ** 20,
  MAX_CHANNELS = 4096,
  TOTAL = 2 ** 24,
  MAX_GAIN = 3072;
const SIZES: Record<string, number> = { I8: 1, U8: 1, I16: 2, U16: 2, F16: 2, U32: 4 };
const IGNORED = /^(encoder|trained)_/;
const NUMBERS = [
  "channels",
  "encoder_blocks",
  "decoder_blocks",
  "latents",
  "hyper_channels",
  "hyper_latents",
  "context_channels",
  "context_blocks",
  "anchors",
  "expansion",
] as const;

export type Config = Record<(typeof NUMBERS)[number], number> & { shortcut: boolean };

export interface Tensor {
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

/** Tables of one kind: for each its radius, and for each place the sum of the counts before it. */
export interface Table {
  radius: number;
  firsts: Uint32Array;
}

export class Model {
  readonly config: Config;
  private readonly data: Uint8Array;
  /** SHA-256 of the whole file as the slim one claims it; null for a whole file. */
  readonly claimed: string | null;
  readonly latentTables: Table[];
  readonly hyperTables: Table[];
  private readonly tensors = new Map<string, Tensor>();

  /** Throws a VaecodecError for whatever is wrong. `known`: a test has checked these very bytes. */
  constructor(bytes: Uint8Array, known = false) {
    this.data = plain(bytes);
    try {
      const header = this.readHeader();
      const { config, format, identity = null } = header["__metadata__"] ?? {};
      require(format === "vaecodec-model-1" && typeof config === "string", "it is no vaecodec model");
      this.config = readConfig(config);
      require(identity === null || /^[0-9a-f]{64}$/.test(identity), "the identity that it claims is none");
      this.claimed = identity;
      if (!known) checkTensors(this, this.claimed !== null);
      this.latentTables = this.readTables("tables.latent", MAX_CHANNELS);
      this.hyperTables = this.readTables("tables.hyper", 64);
    } catch (error) {
      throw new VaecodecError("model", `the weights cannot be used: ${(error as Error).message}`);
    }
  }

  tensor(name: string): Tensor {
    const found = this.tensors.get(name);
    if (!found) throw new Error(`tensor ${name} is missing`);
    return found;
  }

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** The numbers of an integer tensor. */
  integers(name: string): Int16Array | Uint16Array | Uint32Array | Int8Array | Uint8Array {
    const { dtype, data } = this.tensor(name),
      { buffer } = data.slice();
    if (dtype === "I16") return new Int16Array(buffer);
    if (dtype === "U16") return new Uint16Array(buffer);
    if (dtype === "U32") return new Uint32Array(buffer);
    return dtype === "I8" ? new Int8Array(buffer) : new Uint8Array(buffer);
  }

  private readHeader(): Record<string, any> {
    const { data } = this,
      fields = new DataView(data.buffer, data.byteOffset, data.byteLength);
    require(data.length >= 8 && data.length <= MAX_BYTES, "they are no model file");
    const size = Number(fields.getBigUint64(0, true));
    require(size >= 2 && size <= MAX_HEADER && 8 + size <= data.length, "they are no safetensors file");
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(8, 8 + size)));
    let end = 0;
    const entries = Object.entries<any>(header).filter(([name]) => name !== "__metadata__");
    for (const [name, { dtype, shape, data_offsets }] of entries.sort(
      (a, b) => a[1].data_offsets[0] - b[1].data_offsets[0],
    )) {
      const [from, to] = data_offsets,
        count = shape.reduce((a: number, b: number) => a * b, 1);
      const fits = from === end && to - from === count * SIZES[dtype]! && 8 + size + to <= data.length;
      require(fits && shape.every(Number.isInteger), `tensor ${name} lies where it cannot`);
      this.tensors.set(name, { dtype, shape, data: data.subarray(8 + size + from, 8 + size + to) });
      end = to;
    }
    require(8 + size + end === data.length, "they do not end where their tensors do");
    return header;
  }

  private readTables(name: string, largest: number): Table[] {
    const counts = this.integers(`${name}.counts`);
    let at = 0;
    const tables = Array.from(this.integers(`${name}.radius`), (radius) => {
      const firsts = new Uint32Array(2 * radius + 3),
        start = at;
      require(radius <= largest && start + 2 * radius + 2 <= counts.length, "probability tables have the wrong size");
      let sum = 0,
        least = TOTAL;
      for (let i = 0; i < 2 * radius + 2; i++) {
        firsts[i] = sum;
        sum += counts[at]!;
        least = Math.min(least, counts[at++]!);
      }
      require(sum === TOTAL && least >= 1, "probability tables are not normalised");
      firsts[2 * radius + 2] = sum;
      return { radius, firsts };
    });
    require(at === counts.length, "probability tables have the wrong size");
    return tables;
  }
}

export function require(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Error(reason);
}

function readConfig(text: string): Config {
  const values = JSON.parse(text);
  const config = { shortcut: false, expansion: 2 } as Config;
  for (const [name, value] of Object.entries(values)) {
    if ((NUMBERS as readonly string[]).includes(name)) {
      const allowed = Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_CHANNELS;
      require(allowed, `${name} is out of range`);
      config[name as (typeof NUMBERS)[number]] = value as number;
    } else if (name === "shortcut") config.shortcut = value === true;
    else require(["name", "lambda_min", "lambda_max"].includes(name) || IGNORED.test(name), `${name} is not known`);
  }
  require(NUMBERS.every((name) => name in config), "sizes are missing");
  require(config.latents % 4 === 0 && config.anchors >= 2, "sizes are inconsistent");
  return config;
}

function checkTensors(model: Model, slim: boolean): void {
  const { config } = model,
    { anchors: a, latents: m } = config;
  const expect = (name: string, dtype: string, ...shape: number[]) => {
    const { dtype: found, shape: sides } = model.tensor(name);
    const same = found === dtype && sides.length === shape.length && shape.every((side, i) => side === sides[i]);
    require(same, `tensor ${name} has the wrong type or shape`);
  };
  const exact = exactLayers(config);
  for (const [name, [outputs, inputs, side]] of Object.entries(exact)) {
    expect(`${name}.weight`, "I8", outputs, inputs, side, side);
    expect(`${name}.shift`, "U8", outputs);
    expect(`${name}.bias`, "I16", outputs);
  }
  for (const [name, [outputs, inputs, side]] of Object.entries(floatLayers(config, !slim))) {
    expect(`${name}.weight`, "F16", outputs, inputs, side, side);
    expect(`${name}.bias`, "F16", outputs);
    for (const part of ["weight", "bias"]) checkHalves(model.tensor(`${name}.${part}`), name, 0x5c00); // 256
  }
  const rates: [string, ...number[]][] = [["synthesis.blocks.rate", a, config.decoder_blocks, config.channels]];
  if (!slim) {
    rates.push(["analysis.blocks.rate", a, config.encoder_blocks, config.channels]);
    rates.push(["hyper_analysis.rate", a, config.hyper_channels]);
    expect("norm", "I16", m);
  }
  for (const [name, ...shape] of rates) {
    expect(name, "F16", ...shape);
    checkHalves(model.tensor(name), name, 0x4e00); // 24
  }
  expect("gain", "I16", a, m);
  expect("hyper_gain", "I16", a, config.hyper_latents);
  expect("prior.hyper_rate", "I16", a, config.hyper_channels);
  expect("prior.step_rate", "I16", 4, a, config.context_channels);
  expect("tables.latent.radius", "U16", 64);
  expect("tables.hyper.radius", "U16", a * config.hyper_latents);
  for (const name of ["tables.latent.counts", "tables.hyper.counts"]) {
    require(model.tensor(name).dtype === "U32" && model.tensor(name).shape.length === 1, `tensor ${name} is of no use`);
  }
  for (const name of ["gain", "hyper_gain", ...(slim ? [] : ["norm"])]) {
    require(model.integers(name).every((value) => Math.abs(value) <= MAX_GAIN), `tensor ${name} is out of range`);
  }
  for (const [name, sizes] of Object.entries(exact)) checkBound(model, name, sizes);
}

/** Halves without their signs are in the order of their bits. */
function checkHalves({ data }: Tensor, name: string, largest: number): void {
  const bits = new Uint16Array(data.slice().buffer);
  let most = 0;
  for (let i = 0; i < bits.length; i++) most = Math.max(most, bits[i]! & 0x7fff);
  require(most <= largest, `tensor ${name} has values out of range`);
}

/** No partial sum of an integer layer may reach 2^24 of its units: float32 would round it. */
function checkBound(model: Model, name: string, [outputs, inputs, side]: [number, number, number]): void {
  const weight = model.integers(`${name}.weight`),
    shift = model.integers(`${name}.shift`);
  const bias = model.integers(`${name}.bias`),
    count = inputs * side * side,
    last = name.endsWith(".out");
  const rate = largestRate(model, name);
  require(!weight.includes(-128), `tensor ${name}.weight is out of range`);
  for (let o = 0; o < outputs; o++) {
    let sum = 0;
    for (let i = o * count; i < (o + 1) * count; i++) sum += Math.abs(weight[i]!);
    const units = last ? 2 * (2 * o < outputs ? 32 : 128) : 16,
      unit = Math.max(2 ** shift[o]!, last ? Math.max(units, 16) : 16);
    const reach = (sum * 127) / 2 ** shift[o]! + Math.abs(bias[o]!) / 16 + 0.5 + rate;
    require(reach * unit < TOTAL, `integer layer ${name} can overflow`);
  }
}

/** The largest rate bias of a layer, and 1 for its rounding, in levels. */
function largestRate(model: Model, name: string): number {
  let values: ArrayLike<number> = [];
  if (name === "prior.hyper_synthesis.stem") values = model.integers("prior.hyper_rate");
  else if (/^prior.steps.\d.head$/.test(name)) {
    const table = model.integers("prior.step_rate"),
      each = table.length / 4,
      step = Number(name[12]);
    values = table.subarray(step * each, (step + 1) * each);
  } else return 0;
  return Math.max(...Array.from(values, Math.abs)) / 16 + 1;
}
