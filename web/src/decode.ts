/** From files to pictures. */
import { readAlpha } from "./alpha.js";
import { damaged } from "./bytes.js";
import { ALPHA, Container, EXIF, ICC, MAX_PIXELS, OPAQUE, XMP } from "./container.js";
import { type Engine, engineFor, throwIfAborted } from "./engine.js";
import { type Box, clipped, grown, scaled } from "./grid.js";
import { inflate } from "./inflate.js";
import { readKept } from "./kept.js";
import { type Decoded, type Options, type Rect, VaecodecError } from "./types.js";

const MAX_METADATA = 2 ** 24,
  GRAY = 128;
export type Rgba = Uint8ClampedArray<ArrayBuffer>;

/** Groups of a file, decoded when they are first asked for; what is damaged is noted where it may be. */
export class Groups {
  readonly damaged: number[] = [];
  private readonly found = new Map<number, Promise<Int32Array<ArrayBuffer> | null>>();

  constructor(
    private readonly container: Container,
    private readonly engine: Engine,
    private readonly salvage: boolean,
  ) {}

  get(index: number): Promise<Int32Array<ArrayBuffer> | null> {
    let found = this.found.get(index);
    if (!found) this.found.set(index, (found = this.decode(index)));
    return found;
  }

  /** Nobody needs it any more. */
  drop(index: number): void {
    this.found.delete(index);
  }

  private async decode(index: number): Promise<Int32Array<ArrayBuffer> | null> {
    const { container } = this,
      tile = container.grid.tile(index);
    const height = tile.bottom - tile.top,
      width = tile.right - tile.left;
    try {
      const { hyper, latent } = container.group(index);
      // Copies: what is sent to a worker takes with it all that it is a view of.
      const streams = { hyper: hyper.slice(), latent: latent.slice() };
      return await this.engine.run({ kind: "group", streams, height, width });
    } catch (error) {
      if (!(error instanceof VaecodecError) || error.code !== "damaged") throw error;
      if (!this.salvage) {
        const name = container.groupName(index);
        throw error.message.includes(name) ? error : damaged(`${name}: ${error.message}`);
      }
      this.damaged.push(index);
      return null;
    }
  }
}

export async function decodePicture(bytes: Uint8Array, options: Options): Promise<Decoded> {
  const { maxPixels = MAX_PIXELS, salvage = false, signal } = options;
  throwIfAborted(signal);
  const container = new Container(bytes, maxPixels, salvage),
    { width, height, gray, hasAlpha, kept } = container;
  const sections = readSections(container, options, [EXIF, ICC, XMP]);
  let rgba: Rgba,
    lost: Rect[] = [];
  if (kept === "latents") {
    const engine = await engineOf(container, options);
    [rgba, lost] = await synthesised(container, engine, options);
  } else rgba = await readKept(container, options.decodeImage);
  throwIfAborted(signal);
  if (sections.alpha) setAlpha(rgba, sections.alpha);
  const { damaged: damagedSections, alpha: _, ...metadata } = sections;
  return {
    width,
    height,
    rgba,
    gray,
    hasAlpha,
    kept,
    damaged: lost,
    damagedSections,
    info: container.facts(),
    ...metadata,
  };
}

export async function engineOf(container: Container, options: Options): Promise<Engine> {
  const { model: identity, quality, gray, width, height } = container;
  const { kernel = "auto", knownWeights: known = {} } = options;
  return engineFor({ identity, quality, gray, kernel, known }, width * height, options);
}

interface Sections {
  alpha?: Uint8Array;
  icc?: Uint8Array;
  exif?: Uint8Array;
  xmp?: Uint8Array;
  damaged: string[];
}

/** Alpha and blocks of metadata of these kinds. */
export function readSections(
  container: Container,
  { salvage, maxMetadata = MAX_METADATA }: Options,
  kinds: number[],
): Sections {
  const found: Sections = { damaged: [] };
  const read = (kind: number, name: string, work: () => void) => {
    if (!container.parts.has(kind)) return;
    try {
      work();
    } catch (error) {
      if (!salvage) throw error;
      found.damaged.push(name);
    }
  };
  read(OPAQUE, "opaque", () => container.section(OPAQUE));
  read(ALPHA, "alpha", () => {
    found.alpha = readAlpha(container.section(ALPHA), container.width, container.height);
  });
  for (const [kind, name] of [
    [EXIF, "exif"],
    [ICC, "icc"],
    [XMP, "xmp"],
  ] as const) {
    if (!kinds.includes(kind)) continue;
    read(kind, name, () => {
      const data = container.section(kind);
      try {
        found[name] = inflate(data, maxMetadata);
      } catch (error) {
        throw damaged(metadataMessage((error as Error).message));
      }
    });
  }
  return found;
}

function metadataMessage(reason: string): string {
  const known = {
    truncated: "is truncated",
    "too large": "is too large",
    "followed by foreign bytes": "is followed by foreign bytes",
  };
  return `a metadata section ${known[reason as keyof typeof known] ?? "is damaged"}`;
}

export function setAlpha(rgba: Rgba, alpha: Uint8Array): void {
  for (let i = 0; i < alpha.length; i++) rgba[4 * i + 3] = alpha[i]!;
}

/** Do `work` for 0 to `count` - 1, so many at a time; stops at the first failure. */
export async function each(count: number, parallel: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0,
    failed = false;
  await Promise.all(
    Array.from({ length: Math.min(parallel, count) }, async () => {
      try {
        while (next < count && !failed) await work(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }),
  );
}

/** The pixels of all windows, and what of them is lost. */
async function synthesised(container: Container, engine: Engine, options: Options): Promise<[Rgba, Rect[]]> {
  const { grid, width, height } = container,
    { signal, progress } = options;
  const { latents: channels, halo } = await engine.run({ kind: "sizes" });
  const groups = new Groups(container, engine, options.salvage ?? false),
    windows = grid.windows(engine.parallel);
  const around = windows.map((window) => clipped(grown(window, halo), grid.bounds));
  const uses = new Map<number, number>();
  for (const box of around) for (const tile of grid.tilesOf(box)) uses.set(tile, (uses.get(tile) ?? 0) + 1);
  const rgba = new Uint8ClampedArray(4 * width * height),
    image = { top: 0, left: 0, bottom: height, right: width };
  let done = 0;
  await each(windows.length, 2 * engine.parallel, async (i) => {
    throwIfAborted(signal);
    const box = around[i]!,
      tiles = grid.tilesOf(box),
      pixels = clipped(scaled(windows[i]!, 16), image);
    const latents = await gathered(container, groups, box, tiles, channels);
    const part = {
      top: pixels.top - 16 * box.top,
      left: pixels.left - 16 * box.left,
      bottom: pixels.bottom - 16 * box.top,
      right: pixels.right - 16 * box.left,
    };
    const size = { height: box.bottom - box.top, width: box.right - box.left };
    const out = await engine.run({ kind: "window", latents, ...size, part });
    copyRows(out, pixels, rgba, width);
    for (const tile of tiles) {
      uses.set(tile, uses.get(tile)! - 1);
      if (!uses.get(tile)) groups.drop(tile);
    }
    progress?.(++done / windows.length);
  });
  if (groups.damaged.length === grid.count) throw damaged("no part of the image data is sound");
  const lost = groups.damaged
    .sort((a, b) => a - b)
    .map((tile) => clipped(scaled(grown(grid.tile(tile), halo), 16), image));
  for (const box of lost) fillGray(rgba, box, width);
  return [
    rgba,
    lost.map((box) => ({ x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top })),
  ];
}

/** Latents (height, width, channels) of a box from those of its tiles; zero where they are lost. */
async function gathered(
  container: Container,
  groups: Groups,
  box: Box,
  tiles: number[],
  channels: number,
): Promise<Int32Array<ArrayBuffer>> {
  const columns = box.right - box.left,
    out = new Int32Array((box.bottom - box.top) * columns * channels);
  const values = await Promise.all(tiles.map((tile) => groups.get(tile)));
  tiles.forEach((index, i) => {
    const tile = container.grid.tile(index),
      part = clipped(tile, box),
      from = values[i],
      width = tile.right - tile.left;
    for (let row = part.top; from && row < part.bottom; row++) {
      const start = ((row - tile.top) * width + part.left - tile.left) * channels;
      const to = ((row - box.top) * columns + part.left - box.left) * channels;
      out.set(from.subarray(start, start + (part.right - part.left) * channels), to);
    }
  });
  return out;
}

/** Rows of RGBA of a box to their places in an image. */
export function copyRows(from: Uint8Array, box: Box, rgba: Rgba, width: number): void {
  const size = 4 * (box.right - box.left);
  for (let row = box.top, at = 0; row < box.bottom; row++, at += size) {
    rgba.set(from.subarray(at, at + size), 4 * (row * width + box.left));
  }
}

function fillGray(rgba: Rgba, box: Box, width: number): void {
  for (let row = box.top; row < box.bottom; row++) {
    for (let i = 4 * (row * width + box.left); i < 4 * (row * width + box.right); i += 4) rgba.fill(GRAY, i, i + 3);
  }
}
