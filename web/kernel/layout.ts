/** Where pixels go: shuffles between channels and space, and the picture itself. */

/** Pixels of `from` channels, (height, width) of them -> twice as many both ways, of `channels`, `to` apart: input
 * channel (2i + j) channels + c at (y, x) goes to channel c at (2y + i, 2x + j). */
export function up(x: usize, height: i32, width: i32, from: i32, channels: i32, out: usize, to: i32): void {
  const size = <usize>channels << 2, pixel = <usize>to << 2;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++, x += <usize>from << 2) {
      for (let i = 0; i < 4; i++) {
        const at = <usize>((2 * row + (i >> 1)) * 2 * width + 2 * column + (i & 1)) * pixel;
        memory.copy(out + at, x + <usize>i * size, size);
      }
    }
  }
}

/** One position of every quad, `channels` floats of each, out of rows of `width` pixels that are `from` floats apart
 * -> (rows * columns) pixels that are `to` apart; or the other way. `x` is at the position in the first quad. */
export function gather(
  x: usize, width: i32, from: i32, rows: i32, columns: i32, channels: i32, out: usize, to: i32, back: bool,
): void {
  const size = <usize>channels << 2;
  for (let row = 0; row < rows; row++) {
    let at = x + (<usize>(2 * row * width * from) << 2);
    for (let column = 0; column < columns; column++) {
      if (back) memory.copy(at, out, size);
      else memory.copy(out, at, size);
      at += <usize>from << 3;
      out += <usize>to << 2;
    }
  }
}

/** A part of a window as RGBA, `stride` bytes a row. head: (rows, columns, 192), a pixel of each for 8x8 pixels;
 * shortcut: (rows, columns, 768), for 16x16, or 0; columns: of 16 pixels. */
export function picture(
  head: usize, shortcut: usize, columns: i32, top: i32, left: i32, height: i32, width: i32,
  out: usize, stride: i32, gray: bool,
): void {
  for (let row = top; row < top + height; row++) {
    let to = out + <usize>(row - top) * stride;
    for (let column = left; column < left + width; column++, to += 4) {
      const block = (row >> 3) * 2 * columns + (column >> 3), inBlock = ((row & 7) << 3) + (column & 7);
      const a = head + (<usize>(block * 192 + inBlock * 3) << 2);
      let x = v128.load(a);
      if (shortcut) {
        const patch = (row >> 4) * columns + (column >> 4), inPatch = ((row & 15) << 4) + (column & 15);
        x = f32x4.add(v128.load(shortcut + (<usize>(patch * 768 + inPatch * 3) << 2)), x);
      }
      store<u32>(to, rgba(x, gray));
    }
  }
}

/** The picture of means of 8x8 pixels: head (2 rows, 2 columns, 8), three channels of it, shortcut (rows, columns, 16)
 * with three channels for each of 2x2, or 0. */
export function smallPicture(head: usize, shortcut: usize, rows: i32, columns: i32, out: usize, gray: bool): void {
  for (let row = 0; row < 2 * rows; row++) {
    for (let column = 0; column < 2 * columns; column++, out += 4, head += 32) {
      let x = v128.load(head);
      if (shortcut) {
        const at = <usize>(((row >> 1) * columns + (column >> 1)) * 16 + ((row & 1) * 2 + (column & 1)) * 3);
        x = f32x4.add(v128.load(shortcut + (at << 2)), x);
      }
      store<u32>(out, rgba(x, gray));
    }
  }
}

// @ts-ignore: decorator
@inline
function rgba(x: v128, gray: bool): u32 {
  x = f32x4.add(f32x4.mul(x, f32x4.splat(255)), f32x4.splat(127.5));
  x = f32x4.nearest(f32x4.min(f32x4.max(x, f32x4.splat(0)), f32x4.splat(255)));
  const n = i32x4.trunc_sat_f32x4_s(x);
  let r = i32x4.extract_lane(n, 0), g = i32x4.extract_lane(n, 1), b = i32x4.extract_lane(n, 2);
  if (gray) r = g = b = (r + g + b + 1) / 3;
  return (255 << 24) | (b << 16) | (g << 8) | r;
}
