/** What the page says of a picture. */
import { NAMES } from "../src/models.js";
import type { Decoded, Info } from "../src/index.js";

export function sizeInWords(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const [value, unit] = bytes < 999_500 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
  return `${value.toPrecision(value < 1000 ? 3 : 4).replace(/\.?0+$/, (zeros) => (zeros.includes(".") ? "" : zeros))} ${unit}`;
}

const KEPT = {
  latents: "as latents",
  pixels: "pixel for pixel, without loss",
  jpeg: "as the JPEG that it was, without loss",
};

/** Names of what is told of a file, and what. */
export function factsOf(info: Info, picture?: Decoded): [string, string][] {
  const { width, height, bytes, bpp, quality, model, kept, tiles } = info;
  const facts: [string, string][] = [
    ["Size", `${width} × ${height}${info.gray ? ", gray" : ""}${info.hasAlpha ? ", alpha without loss" : ""}`],
    ["File", `${sizeInWords(bytes)}, ${bpp.toFixed(bpp < 1 ? 3 : 2)} bits a pixel`],
    ["Kept", KEPT[kept]],
  ];
  if (kept === "latents") facts.push(["Quality", String(quality)], ["Model", `${NAMES[model] ?? "of your own"} (${model})`]);
  if (tiles > 1) facts.push(["Tiles", String(tiles)]);
  const profile = picture?.icc && profileName(picture.icc);
  if (profile) facts.push(["Colours", profile]);
  const metadata = info.sections.map(({ name }) => name).filter((name) => name === "exif" || name === "xmp");
  if (metadata.length) facts.push(["Metadata", metadata.join(", ").toUpperCase()]);
  return facts;
}

/** What is lost of a damaged file, or nothing. */
export function damageOf({ damaged, damagedSections }: Decoded): string {
  const parts = damaged.length ? [`${damaged.length} of its parts (shown in gray)`] : [];
  const lost = [...parts, ...damagedSections];
  return lost.length ? `This file is damaged. Lost: ${lost.join(", ")}.` : "";
}

/** The description of an ICC profile (`desc`, of versions 2 and 4). */
export function profileName(icc: Uint8Array): string {
  try {
    const fields = new DataView(icc.buffer, icc.byteOffset, icc.byteLength);
    for (let i = 0; i < Math.min(fields.getUint32(128), 100); i++) {
      if (fields.getUint32(132 + 12 * i) !== 0x64657363) continue;
      const at = fields.getUint32(136 + 12 * i), wide = fields.getUint32(at) === 0x6d6c7563;
      const [from, size] = wide ? [at + fields.getUint32(at + 24), fields.getUint32(at + 20)] : [at + 12, fields.getUint32(at + 8)];
      const text = new TextDecoder(wide ? "utf-16be" : "latin1").decode(icc.subarray(from, from + Math.min(size, 200)));
      return text.replace(/[\0-\x1f\x7f-\x9f]/g, "").trim() || "an ICC profile";
    }
  } catch {
    // A profile that says nothing of itself.
  }
  return "an ICC profile";
}
