/** What FORMAT.md allows of a JPEG in a file (ITU-T T.81, in segments). Nothing here decodes coefficients. */
import { damaged, has, view } from "./bytes.js";

const EOI = 0xd9,
  SOS = 0xda,
  DQT = 0xdb,
  DHT = 0xc4,
  DRI = 0xdd,
  APP0 = 0xe0,
  BASELINE = 0xc0,
  PROGRESSIVE = 0xc2;
const MAX_SCANS = 16;
/** Bytes that are no whole symbols of zeros whatever the Huffman tables. */
const SURPLUS = [...Array.from({ length: 64 }, (_, i) => 0x35 + i), ...Array(8).fill([0x5a, 0xa5]).flat()] as number[];

/** A JPEG that is allowed; `ends`: where stretches of coded data end. */
export interface PlainJpeg {
  data: Uint8Array<ArrayBuffer>;
  /** 1 to 8, as EXIF counts it; to be applied. */
  orientation: number;
  ends: number[];
}

/** The JPEG of a section. Throws unless FORMAT.md allows it, of exactly this size. */
export function plainJpeg(
  payload: Uint8Array,
  width: number,
  height: number,
  gray: boolean,
  version: number,
): PlainJpeg {
  const orientation = version === 2 ? 1 : (payload[0] ?? 0);
  if (orientation < 1 || orientation > 8) throw damaged("the jpeg section has no valid orientation");
  const data = Uint8Array.from(version === 2 ? payload : payload.subarray(1));
  const turned = orientation >= 5 ? [height, width] : [width, height];
  const parser = new Parser(data, version === 3);
  const ends = parser.run();
  const { frame } = parser;
  if (frame.width !== turned[0] || frame.height !== turned[1] || (frame.components === 1) !== gray) {
    throw damaged("the jpeg section does not fit the image");
  }
  return { data, orientation, ends };
}

class Parser {
  frame = { width: 0, height: 0, components: 0, used: new Set<number>() };
  private readonly ends: number[] = [];
  private readonly tables = new Set<number>();
  private frames = 0;
  private scans = 0;

  constructor(
    private readonly data: Uint8Array,
    private readonly newer: boolean,
  ) {}

  run(): number[] {
    const { data } = this,
      fields = view(data);
    this.require(has(data, 0, "\xff\xd8\xff\xe0\0\x10JFIF\0") && data[18] === 0 && data[19] === 0, "no JFIF header");
    let at = 20;
    for (let marker = APP0; ;) {
      this.require(at + 2 <= data.length && data[at] === 0xff, "no marker where one must stand");
      const last = marker;
      marker = data[at + 1]!;
      if (marker === EOI) {
        this.require(last === SOS && at + 2 === data.length, "bytes after the last scan");
        break;
      }
      this.require(at + 4 <= data.length, "cut off");
      const size = fields.getUint16(at + 2),
        body = data.subarray(at + 4, at + 2 + size);
      this.require(size >= 2 && at + 2 + size <= data.length, "cut off within a segment");
      this.segment(marker, body);
      at += 2 + size;
      if (marker === SOS) at = this.scan(at);
    }
    this.require(this.scans > 0, "no scan");
    this.require(
      [...this.frame.used].every((table) => this.tables.has(table)),
      "a quantisation table is missing",
    );
    return this.ends;
  }

  private segment(marker: number, body: Uint8Array): void {
    if (marker === DQT) {
      this.require(body.length > 0 && body.length % 65 === 0, "quantisation tables of another kind");
      for (let i = 0; i < body.length; i += 65) {
        this.require(body[i]! <= 3, "quantisation tables of another kind");
        this.tables.add(body[i]!);
      }
    } else if (marker === BASELINE || (marker === PROGRESSIVE && this.newer)) this.startOfFrame(body);
    else if (marker === SOS) {
      const count = body[0] ?? 0,
        known = Array.from({ length: count }, (_, i) => body[1 + 2 * i]!);
      this.require(this.frames === 1 && ++this.scans <= (this.newer ? MAX_SCANS : 1), "not one frame and its scans");
      const fits = body.length === 4 + 2 * count && known.every((id) => id >= 1 && id <= this.frame.components);
      this.require(fits, "a scan of other components");
    } else this.require(marker === DHT || (marker === DRI && this.newer), "segments of another kind");
  }

  private startOfFrame(body: Uint8Array): void {
    const count = body[5] ?? 0;
    this.require(!this.frames++ && !this.scans, "not one frame and its scans");
    const known = body[0] === 8 && (count === 1 || count === 3) && body.length === 6 + 3 * count;
    this.require(known, "a frame of another kind");
    const { frame } = this,
      fields = view(body);
    [frame.height, frame.width, frame.components] = [fields.getUint16(1), fields.getUint16(3), count];
    for (let i = 0; i < count; i++) {
      const [id, factors, table] = body.subarray(6 + 3 * i) as unknown as [number, number, number];
      const across = factors >> 4,
        down = factors & 15;
      const sampled = across >= 1 && across <= 4 && down >= 1 && down <= 4 && table <= 3;
      this.require(id === i + 1 && sampled, "components of another kind");
      frame.used.add(table);
    }
  }

  /** Where the coded data from `at` on ends. Within it a byte 255 stands before a 0 or a restart marker only. */
  private scan(at: number): number {
    const { data } = this,
      start = at;
    for (; ; at++) {
      at = data.indexOf(0xff, at);
      this.require(at >= 0 && at + 1 < data.length, "cut off within a scan");
      const next = data[at + 1]!;
      if (next >= 0xd0 && next <= 0xd7 && this.newer) this.ends.push(at);
      else if (next !== 0) break;
    }
    this.require(at > start, "an empty scan");
    this.ends.push(at);
    return at;
  }

  private require(condition: boolean, reason: string): asserts condition {
    if (!condition) throw damaged(`the jpeg section is damaged or of another kind: ${reason}`);
  }
}

/** The file with more bytes at the end of each stretch of coded data. They are skipped where that is whole; where it
 * ends too early they are decoded, and show. */
export function withSurplus({ data, ends }: PlainJpeg): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(data.length + ends.length * SURPLUS.length);
  let from = 0,
    to = 0;
  for (const end of ends) {
    out.set(data.subarray(from, end), to);
    to += end - from;
    out.set(SURPLUS, to);
    to += SURPLUS.length;
    from = end;
  }
  out.set(data.subarray(from), to);
  return out;
}
