/** The file: a small header, optional sections, the coded groups, checksums (FORMAT.md, section 1). */
import { Reader, crc32, damaged, has, hex, plain, view } from "./bytes.js";
import { Grid, countedPixels } from "./grid.js";
import { type Info, type Kept, VaecodecError } from "./types.js";

export const MAX_PIXELS = 2 ** 27;
const MAX_SIDE = 2 ** 20,
  MAX_LENGTH = 2 ** 28,
  MAX_CHANNELS = 4096;
const GRAY = 1,
  HAS_SECTIONS = 2,
  TILED = 4;
const IMAGES = ["\x89PNG\r", "\xff\xd8\xff", "GIF8", "RIFF", "II*\0", "MM\0*", "BM"];
export const ALPHA = 1,
  PIXELS = 2,
  JPEG = 3,
  OPTIONAL = 128,
  EXIF = 129,
  ICC = 130,
  XMP = 131,
  OPAQUE = 132;
const NAMES: Record<number, string> = {
  [ALPHA]: "alpha",
  [PIXELS]: "pixels",
  [JPEG]: "jpeg",
  [EXIF]: "exif",
  [ICC]: "icc",
  [XMP]: "xmp",
  [OPAQUE]: "opaque",
};

interface Part {
  offset: number;
  size: number;
}

/** The two coded streams of a group, each a whole number of words. */
export interface Streams {
  hyper: Uint8Array;
  latent: Uint8Array;
}

/** An opened file: the header is checked, sections and groups are when they are asked for. */
export class Container {
  version = 0;
  gray = false;
  width = 0;
  height = 0;
  /** In 1/100. */
  quality = 0;
  model = "";
  tileLog2: number | null = null;
  grid!: Grid;
  readonly parts = new Map<number, Part>();
  private groups: (Part & { hyper: number })[] = [];
  /** How many bytes from the start the checksum of the only group covers besides the group itself. */
  private covered = 0;

  readonly bytes: Uint8Array;

  constructor(data: Uint8Array, maxPixels = MAX_PIXELS, partial = false) {
    const bytes = (this.bytes = plain(data));
    const reader = new Reader(bytes);
    const flags = this.readHeader(reader, maxPixels);
    const table = flags & HAS_SECTIONS ? readSectionTable(reader) : [];
    const simple = this.version === 2 && !(flags & (HAS_SECTIONS | TILED));
    this.grid = new Grid(this.width, this.height, this.tileLog2);
    const sizes = this.readGroupTable(reader, simple);
    let at = reader.at;
    if (simple) this.covered = at;
    else {
      at += 4;
      if (at > bytes.length || crc32(bytes.subarray(0, at - 4)) !== view(bytes).getUint32(at - 4, true)) {
        throw damaged("the file is damaged: the checksum of its header does not match");
      }
    }
    for (const [kind, size] of table) {
      this.parts.set(kind, { offset: at, size });
      at += size + 4;
    }
    this.checkSections(sizes.some(([hyper, latent]) => hyper + latent !== 0));
    for (const [hyper, latent] of sizes) {
      if (latent < 0 || latent % 4) {
        throw damaged("the file is truncated: the image data is missing or no whole number of words");
      }
      this.groups.push({ offset: at, size: hyper + latent, hyper });
      at += hyper + latent + 4;
    }
    if (!partial) this.checkEnd(at);
    const longest = this.longestGroup();
    if (this.groups.some(({ size }) => size > longest)) {
      throw damaged("the image data is longer than its symbols can be");
    }
  }

  get kept(): Kept {
    return this.parts.has(PIXELS) ? "pixels" : this.parts.has(JPEG) ? "jpeg" : "latents";
  }

  get hasAlpha(): boolean {
    return this.parts.has(ALPHA) || this.parts.has(OPAQUE);
  }

  /** Payload of a section. */
  section(kind: number): Uint8Array {
    const { offset, size } = this.parts.get(kind)!;
    return this.checked(offset, offset, size, `the ${sectionName(kind)} section`);
  }

  group(index: number): Streams {
    const { offset, size, hyper } = this.groups[index]!;
    const data = this.checked(offset - this.covered, offset, size, this.groupName(index)).subarray(this.covered);
    return { hyper: data.subarray(0, hyper), latent: data.subarray(hyper) };
  }

  /** What messages call a group. */
  groupName(index: number): string {
    return this.groups.length === 1 ? "the image data" : `group ${index} of ${this.groups.length}`;
  }

  /** What the file says of itself; all checksums are checked but those of unknown sections. */
  info(): Info {
    for (const kind of this.parts.keys()) if (kind in NAMES) this.section(kind);
    this.groups.forEach((_, i) => this.group(i));
    return this.facts();
  }

  facts(): Info {
    const { version, width, height, model, gray, hasAlpha, kept, tileLog2, bytes } = this;
    return {
      version,
      width,
      height,
      model,
      gray,
      hasAlpha,
      kept,
      quality: this.quality / 100,
      tile: tileLog2 === null ? null : 1 << tileLog2,
      tiles: this.groups.length,
      bytes: bytes.length,
      bpp: (bytes.length * 8) / (width * height),
      sections: [...this.parts].map(([kind, part]) => ({ name: sectionName(kind), bytes: part.size })),
    };
  }

  private checked(start: number, offset: number, size: number, name: string): Uint8Array {
    const end = offset + size;
    if (end + 4 > this.bytes.length) throw damaged(`the file is truncated: ${name} is missing`);
    const body = this.bytes.subarray(start, end);
    if (crc32(body) !== view(this.bytes).getUint32(end, true)) {
      throw damaged(`the file is damaged: the checksum of ${name} does not match`);
    }
    return body;
  }

  private readHeader(reader: Reader, maxPixels: number): number {
    const { bytes } = this;
    if (!bytes.length) throw damaged("the file is empty");
    if (!has(bytes, 0, "VAEC".slice(0, bytes.length))) {
      const image = IMAGES.some((start) => has(bytes, 0, start.slice(0, bytes.length)));
      throw new VaecodecError("foreign", image ? "not a vaecodec file but another image" : "not a vaecodec file");
    }
    reader.take(4);
    this.version = reader.byte();
    if (this.version !== 2 && this.version !== 3) {
      throw new VaecodecError("version", `format version ${this.version} is not supported, only versions 2 and 3`);
    }
    const flags = reader.byte();
    if (flags & ~(GRAY | HAS_SECTIONS | (this.version === 2 ? TILED : 0))) {
      throw new VaecodecError("version", "the file uses features that this version does not know");
    }
    this.gray = !!(flags & GRAY);
    this.width = reader.varint(MAX_SIDE);
    this.height = reader.varint(MAX_SIDE);
    if (!this.width || !this.height) throw damaged("the image has no pixels");
    if (countedPixels(this.width, this.height) > maxPixels) {
      const size = `${this.width}x${this.height}`;
      throw new VaecodecError("limit", `the image has ${size} pixels, more than the limit of ${maxPixels}`);
    }
    const [low, high] = reader.take(2) as unknown as [number, number];
    this.quality = low + 256 * high;
    if (this.quality < 100 || this.quality > 10000) throw damaged("the quality in the file is out of range");
    this.model = hex(reader.take(4));
    if (flags & TILED) this.tileLog2 = reader.byte();
    return flags;
  }

  /** Bytes of the two streams of each group. */
  private readGroupTable(reader: Reader, plain: boolean): [number, number][] {
    const sizes: [number, number][] = [];
    for (let i = this.version === 2 ? this.grid.count : 0; i > 0; i--) {
      const hyper = 4 * reader.varint(MAX_LENGTH),
        at = reader.at + hyper;
      if (plain && this.bytes.length > at + this.longestGroup()) {
        throw damaged("the file is followed by foreign bytes");
      }
      // A plain file does not say the size of its last stream: it reaches up to the checksum at the end.
      sizes.push([hyper, plain ? this.bytes.length - 4 - at : 4 * reader.varint(MAX_LENGTH)]);
    }
    return sizes;
  }

  private checkSections(coded: boolean): void {
    const { parts } = this;
    const images = [PIXELS, JPEG].filter((kind) => parts.has(kind)).map(sectionName);
    if (coded) images.push("coded groups");
    if (this.version === 3 && !parts.has(JPEG)) throw damaged("a file of version 3 has no jpeg section");
    if (images.length > 1) throw damaged(`the file has both ${images[0]} and ${images[1]}`);
    if (parts.has(OPAQUE) && (parts.has(ALPHA) || parts.get(OPAQUE)!.size)) {
      throw damaged("the section that says that the image is opaque is not empty, or contradicts another");
    }
  }

  private checkEnd(at: number): void {
    const { length } = this.bytes;
    if (length > at) throw damaged("the file is followed by foreign bytes");
    if (length === at) return;
    const last = this.groups.findIndex(({ offset, size }) => offset + size + 4 > length);
    const several = last >= 0 && this.groups.length > 1;
    throw damaged(`the file is truncated${several ? `: ${this.groupName(last)} is incomplete` : ""}`);
  }

  /** Bytes that the streams of a group have at most, whatever the model: 5 for a symbol, and their last words. */
  private longestGroup(): number {
    const { bottom, right } = this.grid.bounds,
      side = this.tileLog2 === null ? MAX_SIDE : (1 << this.tileLog2) / 16;
    const height = Math.min(bottom, side),
      width = Math.min(right, side);
    return 5 * MAX_CHANNELS * (height * width + Math.ceil(height / 4) * Math.ceil(width / 4)) + 64;
  }
}

function readSectionTable(reader: Reader): [number, number][] {
  const table: [number, number][] = [],
    seen = new Set<number>();
  for (let i = reader.varint(255); i > 0; i--) {
    const kind = reader.byte();
    if (seen.has(kind)) throw damaged("a section appears twice");
    seen.add(kind);
    if (!(kind in NAMES) && kind < OPTIONAL) {
      throw new VaecodecError("version", `the file has a section of unknown type ${kind} that cannot be skipped`);
    }
    table.push([kind, reader.varint(MAX_LENGTH)]);
  }
  return table;
}

export function sectionName(kind: number): string {
  return NAMES[kind] ?? `section ${kind}`;
}
