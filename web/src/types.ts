/** What the package takes and gives. Pixels are rows from the top, 4 bytes each, alpha not premultiplied. */

/** How the file has the image: as latents of a model, pixel for pixel, or as the JPEG that it was. */
export type Kept = "latents" | "pixels" | "jpeg";

/** A rectangle in pixels of the picture. */
export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A section of the file: its name (`section 200` where it is unknown) and its size. */
export interface SectionInfo {
  name: string;
  bytes: number;
}

/** What a file says of itself. */
export interface Info {
  /** Version of the format: 2 or 3. */
  version: number;
  width: number;
  height: number;
  /** 1 to 100. */
  quality: number;
  /** Identity of the model: 8 hexadecimal digits. */
  model: string;
  /** Side of a tile in pixels; null where the whole image is one group. */
  tile: number | null;
  /** How many parts are coded by themselves. */
  tiles: number;
  gray: boolean;
  hasAlpha: boolean;
  kept: Kept;
  /** Size of the whole file, and bits a pixel of it. */
  bytes: number;
  bpp: number;
  sections: SectionInfo[];
}

/** Pixels and what belongs to them. `rgba` has 4 * width * height bytes. */
export interface Pixels {
  width: number;
  height: number;
  rgba: Uint8ClampedArray | Uint8Array;
  gray: boolean;
  hasAlpha: boolean;
  icc?: Uint8Array;
  exif?: Uint8Array;
  xmp?: Uint8Array;
}

/** A decoded picture. */
export interface Decoded extends Pixels {
  rgba: Uint8ClampedArray<ArrayBuffer>;
  kept: Kept;
  /** ICC profile, where the file has one: `rgba` is in its colours. */
  icc?: Uint8Array;
  /** EXIF block as the file has it. Whatever it says, the picture is upright already. */
  exif?: Uint8Array;
  /** XMP packet. */
  xmp?: Uint8Array;
  /** Rectangles that are gray because their groups are damaged (only with `salvage`). */
  damaged: Rect[];
  /** Names of damaged sections that were left out (only with `salvage`). */
  damagedSections: string[];
  info: Info;
}

/** All latents of a file: what the golden streams pin. `values` has them by channel, row, column, in 1/16 of a symbol
 * of the quality; a row is 16 pixels high. */
export interface Latents {
  channels: number;
  rows: number;
  columns: number;
  values: Int32Array<ArrayBuffer>;
}

/** Pixels of a lossless WebP or a JPEG, as it is: no colour management, no orientation, straight alpha. */
export type ImageDecoder = (
  bytes: Uint8Array<ArrayBuffer>,
  type: "image/webp" | "image/jpeg",
) => Promise<{ width: number; height: number; data: Uint8Array | Uint8ClampedArray }>;

/** Where the weights of models are: a folder (URL that ends with a slash) that has `<identity>.bin`, the URL of one
 * such file, or their bytes by identity (8 hexadecimal digits). */
export type Weights = string | URL | Record<string, Uint8Array> | Map<string, Uint8Array>;

export interface Options {
  /** Default: beside the script. */
  weights?: Weights;
  /** SHA-256 (hexadecimal) of slim weights of other models than the shipped ones, by identity, as `npm run weights`
   * prints them: nothing else says that they are what they claim. Whole model files need no such entry. */
  knownWeights?: Record<string, string>;
  /** Refuse images with more pixels; 2^27 unless said. */
  maxPixels?: number;
  /** Refuse metadata that inflates to more bytes; 2^24 unless said. */
  maxMetadata?: number;
  /** Show what is sound of a damaged file, the rest in gray, and say so in `damaged`. */
  salvage?: boolean;
  /** How many workers decode; 0 decodes in the calling thread. Unless said: 1 for small images, up to 4 for large
   * ones, and 0 wherever there are no workers. Pixels do not depend on it. */
  workers?: number;
  /** Starts a worker, for bundlers and pages that know better where its script is. */
  createWorker?: () => Worker;
  signal?: AbortSignal;
  /** Called with 0 to 1. */
  progress?: (fraction: number) => void;
  /** Which kernel; "auto", the default, takes relaxed SIMD where the engine has it. */
  kernel?: "auto" | "simd" | "relaxed";
  /** In the place of the browser's `createImageBitmap`, for files that keep pixels or a JPEG. */
  decodeImage?: ImageDecoder;
}

/** A picture to be encoded: upright, in sRGB or in the colours of `icc`. */
export interface Source {
  width: number;
  height: number;
  /** 4 * width * height bytes, alpha not premultiplied. */
  rgba: Uint8ClampedArray | Uint8Array;
  /** Unless said, what the pixels tell. */
  gray?: boolean;
  hasAlpha?: boolean;
  icc?: Uint8Array;
  exif?: Uint8Array;
  xmp?: Uint8Array;
}

export interface EncodeOptions extends Pick<
  Options,
  "workers" | "createWorker" | "signal" | "progress" | "kernel" | "maxPixels"
> {
  /** 1 to 100; 60 unless said. */
  quality?: number;
  /** Identity of the model (8 hexadecimal digits); unless said the default one. */
  model?: string;
  /** Where the whole model file is: a folder (URL that ends with a slash) that has `<identity>.safetensors`, its own
   * URL, or its bytes by identity. Default: beside the script. */
  weights?: Weights;
}

/** What went wrong: the file is no .vaec file, damaged, of a later version or larger than the limit; its model, or the
 * weights of it, are not to be had; the call was aborted; or this engine lacks something. */
export type ErrorCode = "foreign" | "damaged" | "version" | "limit" | "model" | "aborted" | "unsupported";

/** The only error that is thrown on purpose; its message is one line that can be shown to a user. */
export class VaecodecError extends Error {
  override readonly name = "VaecodecError";
  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}
