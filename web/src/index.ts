/** vaecodec in the browser and in Node: decode .vaec images. */
import { Container, MAX_PIXELS } from "./container.js";
import { decodePicture } from "./decode.js";
import { readLatents } from "./latents.js";
import { toPng as writePng } from "./png.js";
import { previewPicture } from "./preview.js";
import { type Decoded, type Info, type Latents, type Options, type Pixels, VaecodecError } from "./types.js";

export * from "./types.js";

/** The picture in a .vaec file. Rejects with a VaecodecError. */
export function decode(bytes: Uint8Array, options: Options = {}): Promise<Decoded> {
  return explained(() => decodePicture(bytes, options));
}

/** The picture at an eighth of its size (rounded up), without the synthesis: much quicker. It has the ICC profile, but
 * no other metadata. Rejects with a VaecodecError. */
export function preview(bytes: Uint8Array, options: Options = {}): Promise<Decoded> {
  return explained(() => previewPicture(bytes, options));
}

/** The latents of a file, for research and for proofs: equal on every machine. Rejects with a VaecodecError, also for
 * files that have none. */
export function latents(bytes: Uint8Array, options: Options = {}): Promise<Latents> {
  return explained(() => readLatents(bytes, options));
}

/** What a file says of itself; all checksums are checked. Throws a VaecodecError. */
export function inspect(bytes: Uint8Array, { maxPixels = MAX_PIXELS }: Pick<Options, "maxPixels"> = {}): Info {
  return new Container(bytes, maxPixels).info();
}

/** A PNG file of a picture, with its ICC profile, EXIF and XMP. */
export function toPng(decoded: Pixels): Promise<Uint8Array<ArrayBuffer>> {
  return explained(() => writePng(decoded));
}

/** Where memory is short engines throw a RangeError. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RangeError) throw new VaecodecError("limit", "not enough memory for this image");
    throw error;
  }
}
