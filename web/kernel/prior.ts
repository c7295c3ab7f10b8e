/** The integer arithmetic between the nets (FORMAT.md, section 4), in 64 bits. Gains are int32 (log2 in 1/256) or
 * powers of two as int64, in units of 2^-16. */

// @ts-ignore: decorator
@inline
function limited(value: i64, bound: i64): i64 {
  return min(max(value, -bound), bound);
}

/** Hyper symbols int32 (channels, count) -> levels float32 (count, stride). `powers`: exp2 of minus the gains. */
export function hyperLevels(z: usize, channels: i32, count: i32, powers: usize, out: usize, stride: i32): void {
  for (let c = 0; c < channels; c++) {
    const power = load<i64>(powers + (<usize>c << 3));
    let to = out + (<usize>c << 2);
    for (let i = 0; i < count; i++, z += 4, to += <usize>stride << 2) {
      const symbol = limited(load<i32>(z), 64);
      store<f32>(to, <f32>limited((16 * symbol * power + (1 << 15)) >> 16, 127));
    }
  }
}

/** Outputs of a context step (quads, stride), `channels` means and then as many indices -> means in 1/16 symbol int32
 * and scale indices, bytes, both (channels, quads). */
export function scales(
  x: usize, quads: i32, stride: i32, channels: i32, gains: usize, powers: usize, mean: usize, index: usize,
): void {
  for (let c = 0; c < channels; c++) {
    const gain = load<i32>(gains + (<usize>c << 2)), power = load<i64>(powers + (<usize>c << 3));
    let from = x + (<usize>c << 2);
    for (let q = 0; q < quads; q++, from += <usize>stride << 2, mean += 4, index++) {
      const m = limited(<i64>load<f32>(from), 16383);
      store<i32>(mean, <i32>((16 * m * power + (1 << 24)) >> 25));
      const i = <i32>limited(<i64>load<f32>(from + (<usize>channels << 2)), 32767);
      store<u8>(index, min(max((i + 6 * gain) >> 8, 0), 63));
    }
  }
}

/** Symbols and means of one quad position, int32 (channels, rows, columns) -> latents y int32, every fourth channel
 * at `y` of pixels two apart, `latents` channels each; and levels v and |v|, float32, at `levels` of rows of `stride`.
 * `powers`: exp2 of minus the gains. */
export function joinLatents(
  symbols: usize, mean: usize, channels: i32, rows: i32, columns: i32, powers: usize,
  y: usize, latents: i32, levels: usize, stride: i32,
): void {
  const line = <usize>(4 * columns * latents) << 2; // two rows of 2 * columns pixels
  for (let c = 0; c < channels; c++) {
    const power = load<i64>(powers + (<usize>c << 3));
    let v = levels + (<usize>c << 2);
    for (let row = 0; row < rows; row++) {
      let to = y + <usize>row * line + (<usize>c << 4);
      for (let column = 0; column < columns; column++) {
        const value = 16 * load<i32>(symbols) + load<i32>(mean);
        store<i32>(to, value);
        const level = <f32>limited((<i64>value * power + (1 << 15)) >> 16, 127);
        store<f32>(v, level);
        store<f32>(v + (<usize>channels << 2), abs(level));
        symbols += 4;
        mean += 4;
        to += <usize>latents << 3;
        v += <usize>stride << 2;
      }
    }
  }
}

/** Latents int32 (count, channels) -> normalised latents float32, in place; a factor for each channel. */
export function dequantise(y: usize, count: i32, channels: i32, factors: usize): void {
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < channels; c++, y += 4) {
      store<f32>(y, <f32>load<i32>(y) * load<f32>(factors + (<usize>c << 2)));
    }
  }
}
