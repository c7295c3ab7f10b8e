/** From the quality of a file to the integers and factors that decoding derives from it (FORMAT.md, section 2). */
import type { Model } from "./model.js";

const MANTISSAS = Array.from({ length: 256 }, (_, i) => Math.round(2 ** (i / 256) * 16384));

/** 2^(g / 256) in units of 2^-16. */
function exp2(g: number): bigint {
  const mantissa = BigInt(MANTISSAS[g & 255]!),
    n = (g >> 8) + 2;
  return n >= 0 ? mantissa << BigInt(n) : mantissa >> BigInt(-n);
}

/** Powers of two of gains (their negatives with `sign` -1) as 64-bit integers. */
export function powers(gains: ArrayLike<number>, sign: 1 | -1): BigInt64Array {
  return BigInt64Array.from(Array.from(gains, (g) => exp2(sign * g)));
}

/** A place between two rate anchors of a model: `fraction` of 65536 from `anchor` to the next. */
export class Rate {
  readonly anchor: number;
  readonly fraction: number;
  readonly gain: Int32Array;

  /** `quality` in 1/100. */
  constructor(
    private readonly model: Model,
    readonly quality: number,
  ) {
    const { anchors } = model.config,
      position = Math.floor(((quality - 100) * (anchors - 1) * 65536) / 9900);
    this.anchor = Math.min(position >> 16, anchors - 2);
    this.fraction = position - 65536 * this.anchor;
    this.gain = this.integers("gain");
  }

  get nearest(): number {
    return this.anchor + (this.fraction >= 32768 ? 1 : 0);
  }

  /** An integer tensor (..., anchors, n), of which row `outer` of the first axis, at this rate. */
  integers(name: string, outer = 0): Int32Array {
    const table = this.model.integers(name),
      shape = this.model.tensor(name).shape;
    const n = shape[shape.length - 1]!,
      start = (outer * this.model.config.anchors + this.anchor) * n;
    return Int32Array.from({ length: n }, (_, i) =>
      Math.floor((table[start + i]! * (65536 - this.fraction) + table[start + n + i]! * this.fraction) / 65536),
    );
  }

  /** Normalised latents for a latent of 1/16 symbol, for each channel. */
  get factors(): Float32Array {
    return Float32Array.from(this.gain, (g) => 2 ** (-g / 256) / 16);
  }
}
