/** What the page holds: .vaec files, pictures of other formats, and what these are encoded to. */
import { encode } from "../src/encode.js";
import { type Decoded, type Info, type Options, type Pixels, type Source, VaecodecError, decode, inspect, preview, toPng } from "../src/index.js";
import { has } from "../src/bytes.js";
import { Container, MAX_PIXELS } from "../src/container.js";
import type { Named } from "./embedded.js";
import { readSource } from "./source.js";
import { damageOf, factsOf, sizeInWords } from "./words.js";

/** Pixels from which on a preview is shown first. */
export const LARGE = 2 ** 20;

/** A picture as it is on the screen. */
export interface Shown {
  url: string;
  soon: boolean;
}

/** One entry of the lists. `width` and `height` are known at once; pixels come with `show`. */
export interface Item {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly clear: boolean;
  facts(): [string, string][];
  /** What is wrong with it, though it is shown. */
  note(): string;
  /** Rejects with a VaecodecError. */
  show(shown: (picture: Shown) => void, options: Options): Promise<void>;
  /** A PNG file with all metadata. */
  png(): Promise<Blob>;
  /** Give back what can be made again. */
  forget(): void;
}

async function pngOf(picture: Pixels): Promise<Blob> {
  return new Blob([await toPng(picture)], { type: "image/png" });
}

/** Pixels to look at: without EXIF, which may say that they are to be turned, and they are upright. */
async function urlOf({ width, height, rgba, gray, hasAlpha, icc }: Pixels): Promise<string> {
  return URL.createObjectURL(await pngOf({ width, height, rgba, gray, hasAlpha, ...(icc ? { icc } : {}) }));
}

/** A .vaec file. Throws a VaecodecError for what is none. */
export class Coded implements Item {
  readonly info: Info;
  private picture: Decoded | undefined;
  private url = "";
  private reason = "";

  constructor(readonly name: string, readonly bytes: Uint8Array<ArrayBuffer>, private readonly before = "") {
    try {
      this.info = inspect(bytes);
    } catch (error) {
      if (!(error instanceof VaecodecError) || error.code !== "damaged") throw error;
      this.reason = error.message;
      this.info = new Container(bytes, MAX_PIXELS, true).facts();
    }
  }

  get width(): number {
    return this.info.width;
  }

  get height(): number {
    return this.info.height;
  }

  get clear(): boolean {
    return this.info.hasAlpha;
  }

  facts(): [string, string][] {
    const facts = factsOf(this.info, this.picture);
    if (this.before) facts.splice(2, 0, ["Against", this.before]);
    return facts;
  }

  note(): string {
    return (this.picture && damageOf(this.picture)) || (this.reason && `This file is damaged: ${this.reason}.`);
  }

  async show(shown: (picture: Shown) => void, options: Options): Promise<void> {
    if (!this.url) {
      if (this.width * this.height > LARGE && this.info.kept === "latents") {
        await preview(this.bytes, { ...options, salvage: true }).then(
          async (small) => options.signal?.aborted || shown({ url: await urlOf(small), soon: true }),
          () => {}, // decoding says what is wrong
        );
      }
      this.picture = await this.decoded(options);
      this.url = await urlOf(this.picture);
    }
    shown({ url: this.url, soon: false });
  }

  /** What is sound of a damaged file, if there is no more. */
  private async decoded(options: Options): Promise<Decoded> {
    if (!this.reason) {
      try {
        return await decode(this.bytes, options);
      } catch (error) {
        if (!(error instanceof VaecodecError) || error.code !== "damaged") throw error;
        this.reason = error.message;
      }
    }
    return decode(this.bytes, { ...options, salvage: true }).catch((error) => {
      const damaged = error instanceof VaecodecError && error.code === "damaged";
      throw damaged ? new VaecodecError("damaged", this.reason) : error;
    });
  }

  png(): Promise<Blob> {
    return pngOf(this.picture!);
  }

  forget(): void {
    URL.revokeObjectURL(this.url);
    [this.url, this.picture] = ["", undefined];
  }
}

/** A picture of another format. */
export class Plain implements Item {
  private url = "";
  readonly clear: boolean;

  private constructor(readonly name: string, readonly size: number, readonly source: Source) {
    this.clear = source.rgba.some((value, i) => i % 4 === 3 && value < 255);
  }

  static async read({ name, bytes }: Named): Promise<Plain> {
    return new Plain(name, bytes.length, await readSource(bytes, MAX_PIXELS));
  }

  get width(): number {
    return this.source.width;
  }

  get height(): number {
    return this.source.height;
  }

  facts(): [string, string][] {
    const { width, height, size } = this;
    return [
      ["Size", `${width} × ${height}`],
      ["File", `${sizeInWords(size)}, ${((size * 8) / (width * height)).toFixed(2)} bits a pixel`],
    ];
  }

  note(): string {
    return "";
  }

  async show(shown: (picture: Shown) => void): Promise<void> {
    this.url ||= await urlOf(this.pixels);
    shown({ url: this.url, soon: false });
  }

  png(): Promise<Blob> {
    return pngOf(this.pixels);
  }

  private get pixels(): Pixels {
    return { ...this.source, gray: false, hasAlpha: this.clear };
  }

  forget(): void {
    URL.revokeObjectURL(this.url);
    this.url = "";
  }

  /** This picture as a .vaec file. */
  async coded(quality: number, options: Options): Promise<Coded> {
    const bytes = await encode(this.source, { ...options, quality, maxPixels: MAX_PIXELS });
    const factor = this.size / bytes.length;
    const times = factor >= 1 ? `${factor.toFixed(1)} times smaller` : `${(1 / factor).toFixed(1)} times larger`;
    const before = `${times} than ${this.name}`;
    return new Coded(`${this.name.replace(/\.[^.]*$/, "")}.vaec`, bytes, before);
  }
}

/** The item of a file. Rejects with a VaecodecError. */
export async function itemOf(file: Named): Promise<Coded | Plain> {
  return has(file.bytes, 0, "VAEC") || !file.bytes.length ? new Coded(file.name, file.bytes) : Plain.read(file);
}
