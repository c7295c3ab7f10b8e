/** What encoding needs besides: pixels to inputs, rounding, the range encoder. */

import { sortByKey } from "./range";

/** RGBA, (height, width) pixels, to float32 around 0, squares of `side` pixels as channels: (rows, columns,
 * 3 side^2). Beyond the edges the last pixels go on. */
export function patches(rgba: usize, height: i32, width: i32, rows: i32, columns: i32, side: i32, out: usize): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let i = 0; i < side; i++) {
        const line = rgba + <usize>(min(row * side + i, height - 1) * width) * 4;
        for (let j = 0; j < side; j++, out += 12) {
          const pixel = line + <usize>min(column * side + j, width - 1) * 4;
          for (let c: usize = 0; c < 3; c++) store<f32>(out + 4 * c, <f32>load<u8>(pixel + c) / 255 - 0.5);
        }
      }
    }
  }
}

/** Pixels of `channels` floats, `from` apart, (2 height, 2 width) of them -> (height, width) of four times as many:
 * the inverse of `up`. */
export function down(x: usize, height: i32, width: i32, from: i32, channels: i32, out: usize): void {
  const size = <usize>channels << 2, pixel = <usize>from << 2;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let i = 0; i < 4; i++, out += size) {
        const at = <usize>((2 * row + (i >> 1)) * 2 * width + 2 * column + (i & 1)) * pixel;
        memory.copy(out, x + at, size);
      }
    }
  }
}

/** Multiply channels by a factor each, in place. */
export function multiply(x: usize, count: i32, channels: i32, factors: usize): void {
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++, x += 4) store<f32>(x, load<f32>(x) * load<f32>(factors + (<usize>c << 2)));
  }
}

/** Latents v (height, width, channels) -> v and |v| (rows, columns, 2 channels); the last rows and columns go on. */
export function hyperInputs(v: usize, height: i32, width: i32, channels: i32, rows: i32, columns: i32, out: usize): void {
  const size = <usize>channels << 2;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, out += 2 * size) {
      const from = v + <usize>(min(row, height - 1) * width + min(column, width - 1)) * size;
      for (let c: usize = 0; c < size; c += 4) {
        const value = load<f32>(from + c);
        store<f32>(out + c, value);
        store<f32>(out + size + c, abs(value));
      }
    }
  }
}

/** Symbols int32 of one quad position, (channels, rows, columns), from latents v: every fourth channel from `v` on of
 * pixels two apart, `latents` channels each. gains: symbols for a unit of v; shifts (64, 17): how far thresholds move
 * away from zero, by scale index and magnitude. */
export function quantise(
  v: usize, latents: i32, channels: i32, rows: i32, columns: i32, gains: usize, mean: usize, index: usize, shifts: usize,
  out: usize,
): void {
  const line = <usize>(4 * columns * latents) << 2;
  for (let c = 0; c < channels; c++) {
    const gain = load<f32>(gains + (<usize>c << 2));
    for (let row = 0; row < rows; row++) {
      let from = v + <usize>row * line + (<usize>c << 4);
      for (let column = 0; column < columns; column++, from += <usize>latents << 3, mean += 4, index++, out += 4) {
        const residual = load<f32>(from) * gain - <f32>load<i32>(mean) * 0.0625, key = load<u8>(index);
        let rounded: f32 = 0;
        const magnitude = min(abs(residual), 32767);
        if (key && magnitude > 0.5) {
          rounded = nearest(magnitude);
          const at = <usize>(<i32>key * 17 + min(<i32>rounded, 16)) << 2;
          if (magnitude - rounded + 0.5 < load<f32>(shifts + at)) rounded -= 1;
        }
        store<i32>(out, <i32>copysign(rounded, residual));
      }
    }
  }
}

let low: u64 = 0, range: u64 = 0;
let start: usize = 0, at: usize = 0;
let encoded: bool = false;

/** Begin a stream at `out`, which has room for 5 bytes a symbol and 64 more. */
export function startEncoder(out: usize): void {
  start = at = out;
  low = 0;
  range = u64.MAX_VALUE;
  encoded = false;
}

function add(amount: u64): void {
  low += amount;
  if (low >= amount) return;
  // A carry into the words that stand already.
  let word = at;
  do {
    word -= 4;
    store<u32>(word, load<u32>(word) + 1);
  } while (!load<u32>(word));
}

/** End the stream; returns how many words it has. */
export function finishEncoder(): i32 {
  if (!encoded) return 0;
  add(0xffffffff);
  store<u32>(at, <u32>(low >> 32));
  at += 4;
  return <i32>((at - start) >> 2);
}

function place(first: u32, count: u32): void {
  const unit = range >> 24;
  add(unit * first);
  range = unit * count;
  if (range < 0x100000000) {
    store<u32>(at, <u32>(low >> 32));
    at += 4;
    low <<= 32;
    range <<= 32;
  }
  encoded = true;
}

/** Returns whether the symbol is an escape, of which the value is to follow. */
function symbol(value: i32, firsts: usize, radius: i32): bool {
  const escape = value > radius || value < -radius, i = escape ? 2 * radius + 1 : value + radius;
  const entry = firsts + (<usize>i << 2), first = load<u32>(entry);
  place(first, load<u32>(entry, 4) - first);
  return escape;
}

function escaped(value: i32): void {
  value += 32767;
  place(<u32>value << 8, value == 65534 ? 512 : 256);
}

/** One call whose symbols are sorted by table, as decodeRuns reads it. */
export function encodeRuns(tables: usize, count: i32, each: i32, symbols: usize): void {
  let escapes = false;
  for (let i = 0, from = symbols; i < count; i++) {
    const firsts = load<u32>(tables + (<usize>i << 3)), radius = load<i32>(tables + (<usize>i << 3), 4);
    for (let j = 0; j < each; j++, from += 4) if (symbol(load<i32>(from), firsts, radius)) escapes = true;
  }
  if (!escapes) return;
  for (let i = 0, from = symbols; i < count; i++) {
    const radius = load<i32>(tables + (<usize>i << 3), 4);
    for (let j = 0; j < each; j++, from += 4) if (abs(load<i32>(from)) > radius) escaped(load<i32>(from));
  }
}

/** One call as decodeKeyed reads it. */
export function encodeKeyed(tables: usize, keys: usize, count: i32, symbols: usize, order: usize, ends: usize): void {
  const size = sortByKey(keys, count, order, ends);
  let escapes = false;
  for (let i = 0; i < size; i++) {
    const index = load<u32>(order + (<usize>i << 2)), table = tables + (<usize>load<u8>(keys + index) << 3);
    if (symbol(load<i32>(symbols + (<usize>index << 2)), load<u32>(table), load<i32>(table, 4))) escapes = true;
  }
  if (!escapes) return;
  for (let i = 0; i < size; i++) {
    const index = load<u32>(order + (<usize>i << 2)), value = load<i32>(symbols + (<usize>index << 2));
    if (abs(value) > load<i32>(tables + (<usize>load<u8>(keys + index) << 3), 4)) escaped(value);
  }
}
