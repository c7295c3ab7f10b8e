/** In Node the images of sections `pixels` and `jpeg` are decoded by sharp (libwebp, libjpeg). */
import sharp from "sharp";
import type { ImageDecoder } from "../src/types.js";

export const decodeImage: ImageDecoder = async (bytes) => {
  const image = sharp(bytes, { failOn: "none", limitInputPixels: false }).toColourspace("srgb").ensureAlpha().raw();
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
};
