/** Products of float32 matrices, channels last: the pointwise and the depthwise layers of all nets.
 *
 * Weights are packed [outputs / 8][inputs][8]. Every sum runs over its inputs in order, whatever lies around the pixel,
 * so that results do not depend on how an image is cut.
 */

/** What becomes of a sum. */
export const PLAIN = 0, LEAKY = 1, SCALED_RESIDUAL = 2, POSITIVE = 3, SIGNED = 4, POSITIVE_RESIDUAL = 5, FLOOR = 6;

const BLOCK = 32; // rows whose inputs stay in the first cache while the panels of weights pass by

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

// @ts-ignore: decorator
@inline
function clamp(x: v128, low: f32): v128 {
  return f32x4.min(f32x4.max(x, f32x4.splat(low)), f32x4.splat(127));
}

/** Store four sums at `out`; `scale` has the factors of SCALED_RESIDUAL. */
function finish(out: usize, sum: v128, mode: i32, scale: usize): void {
  if (mode == LEAKY) sum = f32x4.max(sum, f32x4.mul(sum, f32x4.splat(0.1)));
  else if (mode == SCALED_RESIDUAL) sum = madd(sum, v128.load(scale), v128.load(out));
  else if (mode != PLAIN) {
    sum = f32x4.floor(sum);
    if (mode == POSITIVE_RESIDUAL) sum = f32x4.add(sum, v128.load(out));
    if (mode == SIGNED) sum = clamp(sum, -127);
    else if (mode != FLOOR) sum = clamp(sum, 0);
  }
  v128.store(out, sum);
}

/** Rows of `inputs` floats, `stride` floats apart -> rows of 8 `panels` floats, `outStride` apart. */
export function pointwise(
  x: usize, rows: i32, stride: i32, inputs: i32, weight: usize, bias: usize, panels: i32,
  out: usize, outStride: i32, mode: i32, scale: usize,
): void {
  const step = <usize>stride << 2, outStep = <usize>outStride << 2, panelBytes = <usize>inputs << 5;
  for (let first = 0; first < rows; first += BLOCK) {
    const last = min(first + BLOCK, rows);
    for (let panel = 0; panel < panels; panel++) {
      const w = weight + <usize>panel * panelBytes, end = w + panelBytes, column = <usize>panel << 5;
      const b0 = v128.load(bias + column), b1 = v128.load(bias + column, 16);
      let row = first;
      for (; row + 4 <= last; row += 4) {
        let p = x + <usize>row * step;
        const q = step, r = q + step, s = r + step;
        let a0 = b0, a1 = b1, c0 = b0, c1 = b1, d0 = b0, d1 = b1, e0 = b0, e1 = b1;
        for (let k = w; k < end; k += 32, p += 4) {
          const w0 = v128.load(k), w1 = v128.load(k, 16);
          let value = v128.load_splat<f32>(p);
          a0 = madd(value, w0, a0);
          a1 = madd(value, w1, a1);
          value = v128.load_splat<f32>(p + q);
          c0 = madd(value, w0, c0);
          c1 = madd(value, w1, c1);
          value = v128.load_splat<f32>(p + r);
          d0 = madd(value, w0, d0);
          d1 = madd(value, w1, d1);
          value = v128.load_splat<f32>(p + s);
          e0 = madd(value, w0, e0);
          e1 = madd(value, w1, e1);
        }
        let o = out + <usize>row * outStep + column;
        const f = scale + column;
        finish(o, a0, mode, f);
        finish(o + 16, a1, mode, f + 16);
        o += outStep;
        finish(o, c0, mode, f);
        finish(o + 16, c1, mode, f + 16);
        o += outStep;
        finish(o, d0, mode, f);
        finish(o + 16, d1, mode, f + 16);
        o += outStep;
        finish(o, e0, mode, f);
        finish(o + 16, e1, mode, f + 16);
      }
      for (; row < last; row++) {
        let p = x + <usize>row * step, a0 = b0, a1 = b1;
        for (let k = w; k < end; k += 32, p += 4) {
          const value = v128.load_splat<f32>(p);
          a0 = madd(value, v128.load(k), a0);
          a1 = madd(value, v128.load(k, 16), a1);
        }
        const o = out + <usize>row * outStep + column;
        finish(o, a0, mode, scale + column);
        finish(o + 16, a1, mode, scale + column + 16);
      }
    }
  }
}

/** 3x3 sums of each channel, zeros outside: (height, width, channels), channels a multiple of 8; weight (9, channels). */
export function depthwise(
  x: usize, height: i32, width: i32, channels: i32, weight: usize, bias: usize, out: usize, mode: i32,
): void {
  const pixel = <usize>channels << 2, line = <usize>width * pixel;
  for (let row = 0; row < height; row++) {
    const top = row > 0 ? -1 : 0, bottom = row + 1 < height ? 1 : 0;
    for (let column = 0; column < width; column++) {
      const left = column > 0 ? -1 : 0, right = column + 1 < width ? 1 : 0;
      const at = <usize>row * line + <usize>column * pixel;
      for (let c: usize = 0; c < pixel; c += 32) {
        let a = v128.load(bias + c), b = v128.load(bias + c, 16);
        for (let i = top; i <= bottom; i++) {
          let p = x + at + <usize>i * line + <usize>left * pixel + c, w = weight + <usize>(3 * i + left + 4) * pixel + c;
          for (let j = left; j <= right; j++) {
            a = madd(v128.load(p), v128.load(w), a);
            b = madd(v128.load(p, 16), v128.load(w, 16), b);
            p += pixel;
            w += pixel;
          }
        }
        finish(out + at + c, a, mode, 0);
        finish(out + at + c + 16, b, mode, 0);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function half(bits: u32): f32 {
  const magnitude = reinterpret<f32>((bits & 0x7fff) << 13) * reinterpret<f32>(0x77800000); // 2^112
  return bits & 0x8000 ? -magnitude : magnitude;
}

/** Kinds of stored numbers. */
export const HALF = 0, BYTE = 1, SINGLE = 2;

// @ts-ignore: decorator
@inline
function number(source: usize, index: i32, kind: i32): f32 {
  if (kind == HALF) return half(load<u16>(source + (<usize>index << 1)));
  if (kind == BYTE) return <f32>load<i8>(source + <usize>index);
  return load<f32>(source + (<usize>index << 2));
}

/** Numbers of any kind as float32. */
export function widen(source: usize, count: i32, kind: i32, out: usize): void {
  for (let i = 0; i < count; i++) store<f32>(out + (<usize>i << 2), number(source, i, kind));
}

/** Rows `row`, `row + step`, ... and columns alike of a matrix of `length` numbers a row -> inputs `offset`,
 * `offset + 1`, ... of outputs `output`, `output + 1`, ... of packed weights that have `inputs` of them. `scale` has a
 * float32 factor for each row of the matrix. */
export function pack(
  source: usize, kind: i32, length: i32, row: i32, rowStep: i32, rows: i32, column: i32, columnStep: i32, columns: i32,
  scale: usize, out: usize, inputs: i32, offset: i32, output: i32,
): void {
  for (let r = 0; r < rows; r++, row += rowStep) {
    const factor = load<f32>(scale + (<usize>row << 2)), o = output + r;
    let to = out + ((<usize>((o >> 3) * inputs + offset) << 5) + (<usize>(o & 7) << 2));
    let at = row * length + column;
    for (let c = 0; c < columns; c++, at += columnStep, to += 32) store<f32>(to, number(source, at, kind) * factor);
  }
}
