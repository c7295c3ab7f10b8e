/** The range decoder (FORMAT.md, section 5): 64 bits of state, words of 32 bits, counts that sum to 2^24. */

let low: u64 = 0, range: u64 = 0, point: u64 = 0;
let at: usize = 0, end: usize = 0;
let decoded: bool = false;

// @ts-ignore: decorator
@inline
function word(): u64 {
  const value = at < end ? <u64>load<u32>(at) : 0;
  at += 4;
  return value;
}

/** Begin with a stream of whole words. */
export function startDecoder(data: usize, words: i32): void {
  at = data;
  end = data + (<usize>words << 2);
  low = 0;
  range = u64.MAX_VALUE;
  point = word() << 32;
  point |= word();
  decoded = false;
}

/** Whether the stream can have ended here. */
export function finishDecoder(): bool {
  return at >= end && (!decoded || point - low < 0x1ffffffff);
}

// @ts-ignore: decorator
@inline
function narrow(unit: u64, first: u32, count: u32): void {
  low += unit * first;
  range = unit * count;
  if (range < 0x100000000) {
    low <<= 32;
    range <<= 32;
    point = (point << 32) | word();
  }
  decoded = true;
}

/** A place in a table: `firsts` has, for each of 2 radius + 2 places, the sum of the counts before it. -1: invalid. */
function place(firsts: usize, radius: i32): i32 {
  const unit = range >> 24, t = (point - low) / unit;
  if (t >= 1 << 24) return -1;
  let from = 0, to = 2 * radius + 2;
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (load<u32>(firsts + (<usize>middle << 2)) <= <u32>t) from = middle;
    else to = middle;
  }
  const first = load<u32>(firsts + (<usize>from << 2));
  narrow(unit, first, load<u32>(firsts + (<usize>from << 2), 4) - first);
  return from;
}

/** The value of an escape; INVALID where there is none. */
const INVALID = 1 << 20;

function escape(): i32 {
  const unit = range >> 24, t = (point - low) / unit;
  if (t >= 1 << 24) return INVALID;
  const value = min(<i32>(t >> 8), 65534);
  narrow(unit, <u32>value << 8, value == 65534 ? 512 : 256);
  return value - 32767;
}

/** One call whose symbols are sorted by table: `each` symbols of every table from `tables` on, an array of (address
 * of firsts, radius). Writes int32; returns false where the stream is invalid. */
export function decodeRuns(tables: usize, count: i32, each: i32, out: usize): bool {
  let escapes = false;
  for (let i = 0, to = out; i < count; i++) {
    const firsts = load<u32>(tables + (<usize>i << 3)), radius = load<i32>(tables + (<usize>i << 3), 4);
    for (let j = 0; j < each; j++, to += 4) {
      const found = place(firsts, radius);
      if (found < 0) return false;
      store<i32>(to, found - radius);
      if (found > 2 * radius) escapes = true;
    }
  }
  if (!escapes) return true;
  for (let i = 0, to = out; i < count; i++) {
    const radius = load<i32>(tables + (<usize>i << 3), 4);
    for (let j = 0; j < each; j++, to += 4) {
      if (load<i32>(to) <= radius) continue;
      const value = escape();
      if (value == INVALID) return false;
      store<i32>(to, value);
    }
  }
  return true;
}

/** The places of entries of `keys` (bytes below 64) but those of 0, sorted stably by key: writes them to `order` (u32)
 * and returns how many they are; `ends` (64 u32) has where each key ends. */
export function sortByKey(keys: usize, count: i32, order: usize, ends: usize): i32 {
  memory.fill(ends, 0, 256);
  for (let i = 0; i < count; i++) {
    const slot = ends + (<usize>load<u8>(keys + i) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
  let sum: u32 = 0;
  store<u32>(ends, 0);
  for (let key = 1; key < 64; key++) {
    const slot = ends + (<usize>key << 2), size = load<u32>(slot);
    store<u32>(slot, sum);
    sum += size;
  }
  for (let i = 0; i < count; i++) {
    const key = load<u8>(keys + i);
    if (!key) continue;
    const slot = ends + (<usize>key << 2), to = load<u32>(slot);
    store<u32>(order + (<usize>to << 2), i);
    store<u32>(slot, to + 1);
  }
  return <i32>sum;
}

/** One call: symbol i has the table `keys[i]`; those of table 0 are 0. Writes int32; `order` and `ends` as above. */
export function decodeKeyed(tables: usize, keys: usize, count: i32, out: usize, order: usize, ends: usize): bool {
  memory.fill(out, 0, <usize>count << 2);
  const size = sortByKey(keys, count, order, ends);
  let escapes = false;
  for (let i = 0; i < size; i++) {
    const index = load<u32>(order + (<usize>i << 2)), table = tables + (<usize>load<u8>(keys + index) << 3);
    const radius = load<i32>(table, 4), found = place(load<u32>(table), radius);
    if (found < 0) return false;
    store<i32>(out + (<usize>index << 2), found - radius);
    if (found > 2 * radius) escapes = true;
  }
  if (!escapes) return true;
  for (let i = 0; i < size; i++) {
    const index = load<u32>(order + (<usize>i << 2)), to = out + (<usize>index << 2);
    if (load<i32>(to) <= load<i32>(tables + (<usize>load<u8>(keys + index) << 3), 4)) continue;
    const value = escape();
    if (value == INVALID) return false;
    store<i32>(to, value);
  }
  return true;
}
