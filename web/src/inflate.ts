/** Zlib streams (RFC 1950, 1951): `DecompressionStream` does not say where a stream ends, in Node at least. */
import { adler32 } from "./bytes.js";

const LENGTHS = bases([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5], 3);
LENGTHS.push([258, 0]);
const DISTANCES = bases(
  Array.from({ length: 30 }, (_, i) => Math.max((i >> 1) - 1, 0)),
  1,
);
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function bases(extra: number[], first: number): [number, number][] {
  return extra.map((bits) => {
    const base = first;
    first += 1 << bits;
    return [base, bits];
  });
}

/** Canonical Huffman code: how many codes each length has, and the symbols in the order of their codes. */
class Code {
  readonly counts = new Uint16Array(16);
  readonly symbols: Uint16Array;

  /** Codes may be missing only where there is one, of one bit, or none. */
  constructor(lengths: ArrayLike<number>, complete = false) {
    for (let i = 0; i < lengths.length; i++) this.counts[lengths[i]!]!++;
    this.counts[0] = 0;
    let left = 1;
    for (let n = 1; n < 16; n++) {
      left = 2 * left - this.counts[n]!;
      if (left < 0) throw new Error("more codes than there can be");
    }
    const used = this.counts.reduce((a, b) => a + b, 0);
    if (left > 0 && (complete || (used > 0 && !(used === 1 && this.counts[1])))) throw new Error("codes are missing");
    this.symbols = new Uint16Array(used);
    const at = new Uint16Array(16);
    for (let n = 1; n < 15; n++) at[n + 1] = at[n]! + this.counts[n]!;
    for (let i = 0; i < lengths.length; i++) if (lengths[i]) this.symbols[at[lengths[i]!]!++] = i;
  }
}

class Inflater {
  private at = 2;
  private hold = 0;
  private held = 0;
  private size = 0;
  private out: Uint8Array<ArrayBuffer>;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly limit: number,
  ) {
    this.out = new Uint8Array(Math.min(limit, 4 * bytes.length + 256));
  }

  run(): Uint8Array<ArrayBuffer> {
    const { bytes } = this;
    const [cmf, flags] = bytes as unknown as [number, number];
    if (bytes.length < 2 || (cmf & 15) !== 8 || cmf >> 4 > 7 || (256 * cmf + flags) % 31 || flags & 32) {
      throw new Error("no zlib stream");
    }
    let last = 0;
    while (!last) {
      last = this.bits(1);
      const kind = this.bits(2);
      if (kind === 0) this.stored();
      else if (kind === 1) this.block(...fixedCodes());
      else if (kind === 2) this.block(...this.codes());
      else throw new Error("a block of unknown kind");
    }
    this.at -= this.held >> 3;
    const out = this.out.subarray(0, this.size),
      check = adler32(out);
    for (let shift = 24; shift >= 0; shift -= 8) {
      if (bytes[this.at++] !== ((check >>> shift) & 255)) throw new Error("the checksum does not match");
    }
    if (this.at !== bytes.length) throw new Error("followed by foreign bytes");
    return out;
  }

  private bits(count: number): number {
    while (this.held < count) {
      if (this.at >= this.bytes.length) throw new Error("truncated");
      this.hold |= this.bytes[this.at++]! << this.held;
      this.held += 8;
    }
    const value = this.hold & ((1 << count) - 1);
    this.hold >>>= count;
    this.held -= count;
    return value;
  }

  private symbol({ counts, symbols }: Code): number {
    let code = 0,
      first = 0,
      index = 0;
    for (let n = 1; n < 16; n++) {
      code |= this.bits(1);
      const count = counts[n]!;
      if (code < first + count) return symbols[index + code - first]!;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new Error("no such code");
  }

  private room(count: number): void {
    const needed = this.size + count;
    if (needed > this.limit) throw new Error("too large");
    if (needed <= this.out.length) return;
    const out = new Uint8Array(Math.min(Math.max(needed, 2 * this.out.length), this.limit));
    out.set(this.out);
    this.out = out;
  }

  private stored(): void {
    this.at -= this.held >> 3;
    this.hold = this.held = 0;
    const { bytes, at } = this;
    const size = bytes[at]! | (bytes[at + 1]! << 8);
    if (at + 4 + size > bytes.length || (bytes[at + 2]! | (bytes[at + 3]! << 8)) !== (size ^ 0xffff)) {
      throw new Error("truncated");
    }
    this.room(size);
    this.out.set(bytes.subarray(at + 4, at + 4 + size), this.size);
    this.size += size;
    this.at += 4 + size;
  }

  private block(literals: Code, distances: Code): void {
    for (;;) {
      const symbol = this.symbol(literals);
      if (symbol === 256) return;
      if (symbol < 256) {
        if (this.size === this.out.length) this.room(1);
        this.out[this.size++] = symbol;
        continue;
      }
      const [base, extra] = at(LENGTHS, symbol - 257),
        length = base + this.bits(extra);
      const [start, more] = at(DISTANCES, this.symbol(distances)),
        distance = start + this.bits(more);
      if (distance > this.size) throw new Error("a distance before the start");
      this.room(length);
      for (let i = 0; i < length; i++, this.size++) this.out[this.size] = this.out[this.size - distance]!;
    }
  }

  private codes(): [Code, Code] {
    const literals = this.bits(5) + 257,
      distances = this.bits(5) + 1,
      count = this.bits(4) + 4;
    if (literals > 286 || distances > 30) throw new Error("too many codes");
    const lengths = new Uint8Array(19);
    for (let i = 0; i < count; i++) lengths[CODE_ORDER[i]!] = this.bits(3);
    const code = new Code(lengths, true),
      all: number[] = [];
    while (all.length < literals + distances) {
      const symbol = this.symbol(code);
      if (symbol < 16) all.push(symbol);
      else {
        if (symbol === 16 && !all.length) throw new Error("nothing to repeat");
        const value = symbol === 16 ? all[all.length - 1]! : 0;
        const times = symbol === 16 ? 3 + this.bits(2) : symbol === 17 ? 3 + this.bits(3) : 11 + this.bits(7);
        for (let i = 0; i < times; i++) all.push(value);
      }
    }
    if (all.length > literals + distances || !all[256]) throw new Error("codes that do not fit");
    return [new Code(all.slice(0, literals)), new Code(all.slice(literals))];
  }
}

function at<T>(list: T[], index: number): T {
  if (index >= list.length) throw new Error("no such symbol");
  return list[index]!;
}

function fixedCodes(): [Code, Code] {
  const lengths = Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8));
  return [new Code(lengths), new Code(new Uint8Array(32).fill(5))];
}

/** What a zlib stream holds, at most `limit` bytes; throws an Error that says what is wrong, also if bytes follow. */
export function inflate(bytes: Uint8Array, limit: number): Uint8Array<ArrayBuffer> {
  return new Inflater(bytes, limit).run();
}
