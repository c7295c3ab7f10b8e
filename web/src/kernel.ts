/** An instance of the kernel, and its memory: a stack of areas, given back in the order they were taken. */
import { fromBase64 } from "./bytes.js";
import { inflate } from "./inflate.js";
import { relaxed, simd } from "./kernels.js";
import { type Options, VaecodecError } from "./types.js";

/** What kernel/index.ts exports; addresses and counts are 32-bit numbers. */
export interface Functions {
  pointwise(
    x: number,
    rows: number,
    stride: number,
    inputs: number,
    weight: number,
    bias: number,
    panels: number,
    out: number,
    outStride: number,
    mode: number,
    scale: number,
  ): void;
  depthwise(
    x: number,
    height: number,
    width: number,
    channels: number,
    weight: number,
    bias: number,
    out: number,
    mode: number,
  ): void;
  widen(source: number, count: number, kind: number, out: number): void;
  pack(
    source: number,
    kind: number,
    length: number,
    row: number,
    rowStep: number,
    rows: number,
    column: number,
    columnStep: number,
    columns: number,
    scale: number,
    out: number,
    inputs: number,
    offset: number,
    output: number,
  ): void;
  startDecoder(data: number, words: number): void;
  finishDecoder(): number;
  decodeRuns(tables: number, count: number, each: number, out: number): number;
  decodeKeyed(tables: number, keys: number, count: number, out: number, order: number, ends: number): number;
  hyperLevels(z: number, channels: number, count: number, powers: number, out: number, stride: number): void;
  scales(
    x: number,
    quads: number,
    stride: number,
    channels: number,
    gains: number,
    powers: number,
    mean: number,
    index: number,
  ): void;
  joinLatents(
    symbols: number,
    mean: number,
    channels: number,
    rows: number,
    columns: number,
    powers: number,
    y: number,
    latents: number,
    levels: number,
    stride: number,
  ): void;
  dequantise(y: number, count: number, channels: number, factors: number): void;
  up(x: number, height: number, width: number, from: number, channels: number, out: number, to: number): void;
  gather(
    x: number,
    width: number,
    from: number,
    rows: number,
    columns: number,
    channels: number,
    out: number,
    to: number,
    back: number,
  ): void;
  picture(
    head: number,
    shortcut: number,
    columns: number,
    top: number,
    left: number,
    height: number,
    width: number,
    out: number,
    stride: number,
    gray: number,
  ): void;
  smallPicture(head: number, shortcut: number, rows: number, columns: number, out: number, gray: number): void;
  patches(rgba: number, height: number, width: number, rows: number, columns: number, side: number, out: number): void;
  down(x: number, height: number, width: number, from: number, channels: number, out: number): void;
  multiply(x: number, count: number, channels: number, factors: number): void;
  hyperInputs(
    v: number,
    height: number,
    width: number,
    channels: number,
    rows: number,
    columns: number,
    out: number,
  ): void;
  quantise(
    v: number,
    latents: number,
    channels: number,
    rows: number,
    columns: number,
    gains: number,
    mean: number,
    index: number,
    shifts: number,
    out: number,
  ): void;
  startEncoder(out: number): void;
  finishEncoder(): number;
  encodeRuns(tables: number, count: number, each: number, symbols: number): void;
  encodeKeyed(tables: number, keys: number, count: number, symbols: number, order: number, ends: number): void;
  sha256Blocks(state: number, data: number, blocks: number): void;
  heap: WebAssembly.Global;
}

/** What becomes of a sum, as in kernel/matrix.ts. */
export const PLAIN = 0,
  LEAKY = 1,
  SCALED_RESIDUAL = 2,
  POSITIVE = 3,
  SIGNED = 4,
  POSITIVE_RESIDUAL = 5,
  FLOOR = 6;
/** Kinds of stored numbers. */
export const HALF = 0,
  BYTE = 1,
  SINGLE = 2;

const PAGE = 65536,
  HASH_CHUNK = 1 << 20,
  MAX_KERNEL = 1 << 17;
const compiled = new Map<string, Promise<WebAssembly.Module>>();

function module(choice: Options["kernel"] = "auto"): Promise<WebAssembly.Module> {
  const wasm = choice !== "simd" && (choice === "relaxed" || WebAssembly.validate(bytesOf(relaxed))) ? relaxed : simd;
  let found = compiled.get(wasm);
  if (!found) compiled.set(wasm, (found = WebAssembly.compile(bytesOf(wasm))));
  return found;
}

function bytesOf(deflated: string): Uint8Array<ArrayBuffer> {
  return inflate(fromBase64(deflated), MAX_KERNEL);
}

export class Kernel {
  readonly run: Functions;
  private readonly memory: WebAssembly.Memory;
  private top: number;

  private constructor(module: WebAssembly.Module) {
    this.memory = new WebAssembly.Memory({ initial: 16 });
    this.run = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports as unknown as Functions;
    this.top = (Number(this.run.heap.value) + 15) & ~15;
  }

  /** Throws a VaecodecError where the engine lacks what the kernel needs. */
  static async create(choice?: Options["kernel"]): Promise<Kernel> {
    try {
      return new Kernel(await module(choice));
    } catch {
      throw new VaecodecError("unsupported", "this browser lacks WebAssembly with SIMD, or forbids it");
    }
  }

  /** Bytes of memory that the instance holds. */
  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** An area of `bytes` bytes, in multiples of 16, with some to spare behind it for reads beyond the end. */
  take(bytes: number): number {
    const at = this.top,
      missing = at + bytes + 64 - this.size;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch {
        throw new VaecodecError("limit", "not enough memory for this image");
      }
    }
    this.top = at + ((bytes + 31) & ~15);
    return at;
  }

  floats(count: number): number {
    return this.take(4 * count);
  }

  /** Everything that `work` takes is given back after it. */
  scoped<T>(work: () => T): T {
    const { top } = this;
    try {
      return work();
    } finally {
      this.top = top;
    }
  }

  /** A copy of an array in the kernel's memory. */
  put(values: Uint8Array | Float32Array | Int32Array | Uint32Array | BigInt64Array): number {
    const at = this.take(values.byteLength);
    this.bytes(at, values.byteLength).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return at;
  }

  /** Views of the memory, until the next `take`. */
  bytes(at: number, count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer, at, count);
  }

  float32(at: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, count);
  }

  /** SHA-256, hexadecimal. */
  sha256(data: Uint8Array): string {
    return this.scoped(() => {
      const initial = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
      const state = this.put(Uint32Array.from(initial)),
        buffer = this.take(HASH_CHUNK);
      const whole = data.length & ~63,
        rest = new Uint8Array(data.length - whole < 56 ? 64 : 128);
      for (let at = 0; at < whole; at += HASH_CHUNK) {
        const size = Math.min(HASH_CHUNK, whole - at);
        this.bytes(buffer, size).set(data.subarray(at, at + size));
        this.run.sha256Blocks(state, buffer, size / 64);
      }
      rest.set(data.subarray(whole));
      rest[data.length - whole] = 0x80;
      new DataView(rest.buffer).setBigUint64(rest.length - 8, BigInt(data.length) * 8n);
      this.bytes(buffer, rest.length).set(rest);
      this.run.sha256Blocks(state, buffer, rest.length / 64);
      const words = new Uint32Array(this.memory.buffer, state, 8);
      return Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("");
    });
  }
}
