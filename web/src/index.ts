/** vaecodec in the browser and in Node: decode .vaec images. */
import type { Decoded, Info, Options } from "./types.js";

export * from "./types.js";

/** The picture in a .vaec file. Rejects with a VaecodecError. */
export async function decode(_bytes: Uint8Array, _options: Options = {}): Promise<Decoded> {
  throw new Error("not written yet");
}

/** The picture at an eighth of its size (rounded up), without the synthesis and without metadata: much quicker. */
export async function preview(_bytes: Uint8Array, _options: Options = {}): Promise<Decoded> {
  throw new Error("not written yet");
}

/** What a file says of itself; all checksums are checked. Throws a VaecodecError. */
export function inspect(_bytes: Uint8Array, _options: Pick<Options, "maxPixels"> = {}): Info {
  throw new Error("not written yet");
}

/** A PNG file of a picture, with its ICC profile and EXIF. */
export async function toPng(_decoded: Decoded): Promise<Uint8Array<ArrayBuffer>> {
  throw new Error("not written yet");
}
