/** PNG files: a canvas changes colours and alpha on the way, and knows no metadata. */
import { concat, paeth } from "./alpha.js";
import { crc32, has, view } from "./bytes.js";
import type { Pixels } from "./types.js";

/** A PNG file of a picture, with its ICC profile, EXIF and XMP. */
export async function toPng(picture: Pixels) {
  const { width, height, gray, hasAlpha, icc, exif, xmp } = picture;
  const header = new Uint8Array(13);
  view(header).setUint32(0, width);
  view(header).setUint32(4, height);
  header.set([8, (gray ? 0 : 2) + (hasAlpha ? 4 : 0)], 8);
  const parts = [Uint8Array.from("\x89PNG\r\n\x1a\n", (c) => c.charCodeAt(0)), chunk("IHDR", header)];
  if (icc) parts.push(chunk("iCCP", concat([text("ICC profile\0\0"), await deflate([icc])])));
  if (exif) parts.push(chunk("eXIf", has(exif, 0, "Exif\0\0") ? exif.subarray(6) : exif));
  if (xmp) parts.push(chunk("iTXt", concat([text("XML:com.adobe.xmp\0\0\0\0\0"), xmp])));
  parts.push(chunk("IDAT", await deflate(filteredRows(picture))), chunk("IEND", new Uint8Array()));
  return concat(parts);
}

/** A gray PNG of a plane of bytes. */
export function grayPng(plane: Uint8Array, width: number, height: number) {
  const rgba = new Uint8ClampedArray(4 * plane.length);
  plane.forEach((value, i) => (rgba[4 * i] = value));
  return toPng({ width, height, rgba, gray: true, hasAlpha: false });
}

function text(characters: string): Uint8Array {
  return Uint8Array.from(characters, (c) => c.charCodeAt(0));
}

function chunk(kind: string, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + payload.length);
  view(out).setUint32(0, payload.length);
  out.set(text(kind), 4);
  out.set(payload, 8);
  view(out).setUint32(8 + payload.length, crc32(out.subarray(4, 8 + payload.length)));
  return out;
}

/** A zlib stream of some pieces. */
export async function deflate(pieces: Iterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new CompressionStream("deflate"),
    writer = stream.writable.getWriter();
  const written = (async () => {
    for (const piece of pieces) await writer.write(piece as Uint8Array<ArrayBuffer>);
    await writer.close();
  })();
  const [out] = await Promise.all([new Response(stream.readable).arrayBuffer(), written]);
  return new Uint8Array(out);
}

/** Rows with the filter before each, that of the smallest differences: some at a time. */
function* filteredRows({ width, height, rgba, gray, hasAlpha }: Pixels) {
  const size = (gray ? 1 : 3) + (hasAlpha ? 1 : 0),
    length = width * size;
  const tries = Array.from({ length: 3 }, () => new Uint8Array(length));
  let above = new Uint8Array(length),
    row = new Uint8Array(length);
  const batch = Math.max(Math.ceil(2 ** 18 / (length + 1)), 1);
  for (let y = 0; y < height;) {
    const rows = Math.min(batch, height - y),
      out = new Uint8Array(rows * (length + 1));
    for (let i = 0; i < rows; i++, y++) {
      for (let x = 0, to = 0, from = 4 * y * width; x < width; x++, from += 4) {
        row[to++] = rgba[from]!;
        if (!gray) {
          row[to++] = rgba[from + 1]!;
          row[to++] = rgba[from + 2]!;
        }
        if (hasAlpha) row[to++] = rgba[from + 3]!;
      }
      const kind = filter(row, above, size, tries);
      out[i * (length + 1)] = [1, 2, 4][kind]!;
      out.set(tries[kind]!, i * (length + 1) + 1);
      [row, above] = [above, row];
    }
    yield out;
  }
}

/** Sub, Up and Paeth of a row; returns which of `tries` is best. */
function filter(row: Uint8Array, above: Uint8Array, size: number, tries: Uint8Array[]): number {
  const sums = [0, 0, 0];
  for (let x = 0; x < row.length; x++) {
    const left = x < size ? 0 : row[x - size]!,
      up = above[x]!,
      corner = x < size ? 0 : above[x - size]!;
    const guesses = [left, up, paeth(left, up, corner)];
    for (let k = 0; k < 3; k++) {
      const difference = (row[x]! - guesses[k]!) & 255;
      tries[k]![x] = difference;
      sums[k]! += difference < 128 ? difference : 256 - difference;
    }
  }
  return sums.indexOf(Math.min(...sums));
}
