/** Pictures of other formats, as the encoder wants them: what the browser decodes, upright, with their ICC profile. */
import { concat } from "../src/alpha.js";
import { has, view } from "../src/bytes.js";
import { inflate } from "../src/inflate.js";
import { type Source, VaecodecError } from "../src/types.js";

const MAX_PROFILE = 2 ** 22;

/** Rejects with a VaecodecError for what the browser does not read. */
export async function readSource(bytes: Uint8Array<ArrayBuffer>, maxPixels: number): Promise<Source> {
  const icc = rgbProfile(bytes);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), {
      premultiplyAlpha: "none",
      // Pixels as they are go with their profile; all others become sRGB.
      colorSpaceConversion: icc ? "none" : "default",
      imageOrientation: "from-image",
    });
  } catch {
    throw new VaecodecError("foreign", "neither a .vaec file nor an image that this browser reads");
  }
  const { width, height } = bitmap;
  try {
    if (width * height > maxPixels) {
      throw new VaecodecError("limit", `the picture has ${width}x${height} pixels, more than the limit of ${maxPixels}`);
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
    context.drawImage(bitmap, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, width, height);
    return { width, height, rgba, ...(icc ? { icc } : {}) };
  } catch (error) {
    if (error instanceof VaecodecError) throw error;
    throw new VaecodecError("limit", "not enough memory for this picture");
  } finally {
    bitmap.close();
  }
}

/** The ICC profile of a PNG, JPEG or WebP file, if it is of RGB; whatever is odd in it counts as none. */
export function rgbProfile(bytes: Uint8Array): Uint8Array | undefined {
  let icc: Uint8Array | undefined;
  try {
    if (has(bytes, 0, "\x89PNG")) icc = ofPng(bytes);
    else if (has(bytes, 0, "\xff\xd8")) icc = ofJpeg(bytes);
    else if (has(bytes, 0, "RIFF") && has(bytes, 8, "WEBP")) icc = ofWebp(bytes);
  } catch {
    return undefined;
  }
  return icc && icc.length > 128 && icc.length <= MAX_PROFILE && has(icc, 16, "RGB ") ? icc : undefined;
}

function ofPng(bytes: Uint8Array): Uint8Array | undefined {
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view(bytes).getUint32(at)) {
    if (has(bytes, at + 4, "IDAT")) return undefined;
    if (!has(bytes, at + 4, "iCCP")) continue;
    const data = bytes.subarray(at + 8, at + 8 + view(bytes).getUint32(at));
    return inflate(data.subarray(data.indexOf(0) + 2), MAX_PROFILE);
  }
  return undefined;
}

function ofJpeg(bytes: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; ) {
    const size = view(bytes).getUint16(at + 2);
    if (bytes[at + 1] === 0xe2 && has(bytes, at + 4, "ICC_PROFILE\0")) {
      parts[bytes[at + 16]! - 1] = bytes.subarray(at + 18, at + 2 + size);
    }
    at += 2 + size;
  }
  return parts.length ? concat(parts) : undefined;
}

function ofWebp(bytes: Uint8Array): Uint8Array | undefined {
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view(bytes).getUint32(at + 4, true);
    if (has(bytes, at, "ICCP")) return bytes.slice(at + 8, at + 8 + size);
    at += 8 + size + (size & 1);
  }
  return undefined;
}
