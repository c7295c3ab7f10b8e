/** How an image is cut: into tiles, which are coded as independent groups, and into windows for the synthesis.
 * Rectangles are half-open, in latent positions (16 pixels) unless a name says otherwise. */
import { damaged } from "./bytes.js";

export const PATCH = 16;
const MIN_LOG2 = 7,
  MAX_LOG2 = 11;
/** Side of a window that the synthesis takes at once, about: what it needs grows with it, 16 kB a latent. */
const WINDOW = 64;

export interface Box {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

export function clipped(a: Box, b: Box): Box {
  return {
    top: Math.max(a.top, b.top),
    left: Math.max(a.left, b.left),
    bottom: Math.min(a.bottom, b.bottom),
    right: Math.min(a.right, b.right),
  };
}

export function grown(box: Box, margin: number): Box {
  return { top: box.top - margin, left: box.left - margin, bottom: box.bottom + margin, right: box.right + margin };
}

export function meets(a: Box, b: Box): boolean {
  return a.top < b.bottom && b.top < a.bottom && a.left < b.right && b.left < a.right;
}

export function scaled(box: Box, factor: number): Box {
  return {
    top: box.top * factor,
    left: box.left * factor,
    bottom: box.bottom * factor,
    right: box.right * factor,
  };
}

/** Pixels as limits count them: a thin image takes as much work as one of 32 pixels a side. */
export function countedPixels(width: number, height: number): number {
  return Math.max(width, 32) * Math.max(height, 32);
}

/** Tiles of an image. Throws where it needs tiles and has none, has tiles and needs none, or tiles of a wrong size. */
export class Grid {
  /** The whole image, padded. */
  readonly bounds: Box;
  private readonly side: number;
  private readonly columns: number;
  readonly count: number;

  constructor(width: number, height: number, tileLog2: number | null) {
    const longest = Math.max(width, height);
    if (tileLog2 === null) {
      if (longest > 1 << MAX_LOG2) throw damaged("an image of this size must be coded in tiles");
    } else if (tileLog2 < MIN_LOG2 || tileLog2 > MAX_LOG2) {
      throw damaged("the tile size in the file is out of range");
    } else if (longest <= 1 << tileLog2) {
      throw damaged("an image of one tile must not be coded in tiles");
    }
    const [rows, columns] = [height, width].map((side) => 2 * Math.ceil(side / 32)) as [number, number];
    this.bounds = { top: 0, left: 0, bottom: rows, right: columns };
    this.side = tileLog2 === null ? Math.max(rows, columns) : (1 << tileLog2) / PATCH;
    this.columns = Math.ceil(columns / this.side);
    this.count = Math.ceil(rows / this.side) * this.columns;
  }

  /** Tile `index` in raster order. */
  tile(index: number): Box {
    const top = Math.floor(index / this.columns) * this.side,
      left = (index % this.columns) * this.side;
    return clipped({ top, left, bottom: top + this.side, right: left + this.side }, this.bounds);
  }

  /** Indices of the tiles that a box meets. */
  tilesOf(box: Box): number[] {
    const found = [];
    for (let i = Math.floor(box.top / this.side); i * this.side < box.bottom; i++) {
      for (let j = Math.floor(box.left / this.side); j * this.side < box.right; j++) found.push(i * this.columns + j);
    }
    return found;
  }

  /** Windows for the synthesis in raster order, at least `wanted` where the image has room for so many. */
  windows(wanted: number): Box[] {
    const { bottom, right } = this.bounds;
    let rows = Math.ceil(bottom / WINDOW - 0.25);
    const columns = Math.max(Math.ceil(right / WINDOW - 0.25), 1);
    rows = Math.min(Math.max(rows, Math.ceil(wanted / columns), 1), Math.max(bottom >> 3, 1, rows));
    const at = (i: number, count: number, size: number) => Math.round((i * size) / count);
    const found = [];
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        found.push({
          top: at(i, rows, bottom),
          bottom: at(i + 1, rows, bottom),
          left: at(j, columns, right),
          right: at(j + 1, columns, right),
        });
      }
    }
    return found;
  }
}
