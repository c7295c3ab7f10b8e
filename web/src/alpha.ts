/** The alpha section: a gray PNG of 8 bits, of which FORMAT.md says exactly what it holds. */
import { crc32, damaged, has, view } from "./bytes.js";
import { inflate } from "./inflate.js";

const MAX_CHUNKS = 1 << 14;

/** The alpha plane, width * height bytes. */
export function readAlpha(png: Uint8Array, width: number, height: number): Uint8Array {
  const data = pixelData(png, width, height),
    size = height * (width + 1);
  let rows: Uint8Array;
  try {
    rows = inflate(data, size);
  } catch {
    throw damaged("the alpha section is damaged");
  }
  if (rows.length !== size) throw damaged("the alpha section is damaged");
  return unfiltered(rows, width, height);
}

/** What the IDAT chunks hold. */
function pixelData(png: Uint8Array, width: number, height: number): Uint8Array {
  const fail = () => damaged("the alpha section is damaged");
  if (!has(png, 0, "\x89PNG\r\n\x1a\n")) throw fail();
  const fields = view(png),
    chunks: Uint8Array[] = [];
  let at = 8,
    count = 0,
    fits = false,
    ended = false;
  for (; at < png.length; count++) {
    if (count === MAX_CHUNKS || at + 12 > png.length) throw fail();
    const size = fields.getUint32(at),
      end = at + 8 + size;
    if (end + 4 > png.length || crc32(png.subarray(at + 4, end)) !== fields.getUint32(end)) throw fail();
    const payload = png.subarray(at + 8, end);
    if (count === 0) {
      const sized = has(png, at + 4, "IHDR") && size === 13 && fields.getUint32(at + 8) === width;
      fits = sized && fields.getUint32(at + 12) === height && has(png, at + 16, "\x08\0\0\0\0");
    } else if (ended) throw fail();
    else if (has(png, at + 4, "IDAT")) chunks.push(payload);
    else if (has(png, at + 4, "IEND") && !size) ended = true;
    else if (fits) throw fail();
    at = end + 4;
  }
  if (count && !fits) throw damaged("the alpha section does not fit the image");
  if (!ended) throw fail();
  return concat(chunks);
}

export function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Undo the filters of PNG, of one byte a pixel. */
function unfiltered(rows: Uint8Array, width: number, height: number): Uint8Array {
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = y * (width + 1),
      to = y * width,
      kind = rows[from]!;
    if (kind > 4) throw damaged("the alpha section is damaged");
    for (let x = 0; x < width; x++) {
      const left = x ? out[to + x - 1]! : 0,
        above = y ? out[to + x - width]! : 0;
      let guess = 0;
      if (kind === 1) guess = left;
      else if (kind === 2) guess = above;
      else if (kind === 3) guess = (left + above) >> 1;
      else if (kind === 4) guess = paeth(left, above, x && y ? out[to + x - width - 1]! : 0);
      out[to + x] = rows[from + 1 + x]! + guess;
    }
  }
  return out;
}

export function paeth(left: number, above: number, corner: number): number {
  const a = Math.abs(above - corner),
    b = Math.abs(left - corner),
    c = Math.abs(left + above - 2 * corner);
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
