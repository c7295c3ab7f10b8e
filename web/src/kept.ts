/** Images that are kept in a section: pixel for pixel as a lossless WebP, or as a JPEG. The browser decodes them. */
import { damaged, has, view } from "./bytes.js";
import { type Container, JPEG, PIXELS } from "./container.js";
import { plainJpeg, withSurplus } from "./jpeg.js";
import { type ImageDecoder, VaecodecError } from "./types.js";

type Rgba = Uint8ClampedArray<ArrayBuffer>;

/** The picture of a file whose image is kept, as RGBA, opaque. */
export async function readKept(container: Container, decodeImage: ImageDecoder = byBrowser): Promise<Rgba> {
  const { width, height, gray, version } = container;
  if (container.kept === "pixels") {
    const rgba = await readPixels(container, decodeImage);
    if (gray) requireGray(rgba);
    return rgba;
  }
  const jpeg = plainJpeg(container.section(JPEG), width, height, gray, version);
  const [across, down] = jpeg.orientation >= 5 ? [height, width] : [width, height];
  const [picture, whole] = [
    await decoded(jpeg.data, "image/jpeg", across, down, "jpeg", decodeImage),
    await decoded(withSurplus(jpeg), "image/jpeg", across, down, "jpeg", decodeImage),
  ];
  if (!equal(picture, whole)) throw damaged("the jpeg section is damaged: coded data is missing");
  return jpeg.orientation === 1 ? picture : turned(picture, across, down, jpeg.orientation);
}

async function readPixels(container: Container, decodeImage: ImageDecoder): Promise<Rgba> {
  const webp = Uint8Array.from(container.section(PIXELS)),
    { width, height } = container;
  const fields = view(webp),
    chunk = webp.length >= 25 ? fields.getUint32(16, true) : 0,
    end = 20 + chunk;
  const framed = webp.length >= 25 && has(webp, 0, "RIFF") && has(webp, 8, "WEBPVP8L");
  const whole = framed && fields.getUint32(4, true) + 8 === webp.length && webp.length === end + (chunk & 1);
  const padded = end >= webp.length || webp[end] === 0;
  const header = whole ? fields.getUint32(21, true) : 0; // 14 bits of width, 14 of height, alpha, 3 of the version
  if (!whole || !padded || webp[20] !== 0x2f || header >>> 28 !== 0) {
    throw damaged("the pixels section is no lossless WebP file of one chunk without alpha");
  }
  if ((header & 0x3fff) + 1 !== width || ((header >> 14) & 0x3fff) + 1 !== height) {
    throw damaged("the pixels section does not fit the image");
  }
  return decoded(webp, "image/webp", width, height, "pixels", decodeImage);
}

async function decoded(
  bytes: Uint8Array<ArrayBuffer>,
  type: "image/webp" | "image/jpeg",
  width: number,
  height: number,
  section: string,
  decodeImage: ImageDecoder,
): Promise<Rgba> {
  let image: Awaited<ReturnType<ImageDecoder>>;
  try {
    image = await decodeImage(bytes, type);
  } catch (error) {
    if (error instanceof VaecodecError) throw error;
    throw damaged(`the ${section} section is damaged`);
  }
  const { data } = image;
  if (image.width !== width || image.height !== height || data.length !== 4 * width * height) {
    throw damaged(`the ${section} section does not fit the image`);
  }
  const rgba =
    data instanceof Uint8ClampedArray && data.buffer instanceof ArrayBuffer ? data : Uint8ClampedArray.from(data);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  return rgba as Rgba;
}

function requireGray(rgba: Rgba): void {
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) {
      throw damaged("the pixels section has colours, and the image is gray");
    }
  }
}

function equal(a: Rgba, b: Rgba): boolean {
  const [x, y] = [new Uint32Array(a.buffer, a.byteOffset), new Uint32Array(b.buffer, b.byteOffset)];
  return x.every((value, i) => value === y[i]);
}

/** A picture of `width` x `height` as EXIF says that an orientation is to be shown. */
function turned(rgba: Rgba, width: number, height: number, orientation: number): Rgba {
  const from = new Uint32Array(rgba.buffer, rgba.byteOffset),
    to = new Uint32Array(from.length);
  const exchanged = orientation >= 5;
  const flipX = [2, 3, 6, 7].includes(orientation),
    flipY = [3, 4, 7, 8].includes(orientation);
  const [columns, rows] = exchanged ? [height, width] : [width, height];
  for (let y = 0, i = 0; y < rows; y++) {
    const v = flipY ? rows - 1 - y : y;
    for (let x = 0; x < columns; x++, i++) {
      const u = flipX ? columns - 1 - x : x;
      to[i] = from[exchanged ? u * width + v : v * width + u]!;
    }
  }
  return new Uint8ClampedArray(to.buffer);
}

/** Decodes by `createImageBitmap`, without colour management, in a canvas: of opaque pixels it returns what they are. */
const byBrowser: ImageDecoder = async (bytes, type) => {
  if (typeof createImageBitmap === "undefined") {
    const what = type === "image/webp" ? "its pixels as WebP" : "a JPEG";
    throw new VaecodecError("unsupported", `the file keeps ${what}, and nothing here decodes that: give decodeImage`);
  }
  const bitmap = await createImageBitmap(new Blob([bytes], { type }), {
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  });
  try {
    const { width, height } = bitmap;
    const canvas =
      typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(1, 1);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D | null;
    if (!context) throw new VaecodecError("unsupported", "this browser has no canvas for an image of this size");
    context.drawImage(bitmap, 0, 0);
    return { width, height, data: context.getImageData(0, 0, width, height).data };
  } finally {
    bitmap.close();
  }
};
