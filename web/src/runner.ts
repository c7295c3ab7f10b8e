/** Does the tasks that decoding and encoding consist of, in the thread that calls it. */
import { type Encoded, analysisHalo, encodeGroup } from "./analysis.js";
import { hex } from "./bytes.js";
import type { Streams } from "./container.js";
import type { Box } from "./grid.js";
import { decodeGroup } from "./group.js";
import { Kernel } from "./kernel.js";
import { Model } from "./model.js";
import { KNOWN } from "./models.js";
import { Nets } from "./nets.js";
import { Rate } from "./rate.js";
import { haloOf, synthesise, synthesiseSmall } from "./synthesis.js";
import { type Options, VaecodecError } from "./types.js";

/** What all tasks of a file have in common. quality: in 1/100. */
export interface Setting {
  identity: string;
  quality: number;
  gray: boolean;
  kernel: Options["kernel"];
  known: Record<string, string>;
  /** Whether the model must be whole. */
  encoder?: boolean;
}

/** Sizes of a model that say how to cut the work. */
export interface Sizes {
  latents: number;
  halo: number;
  analysisHalo: number;
}

export type Task =
  | { kind: "sizes" }
  | { kind: "group"; streams: Streams; height: number; width: number }
  | { kind: "window"; latents: Int32Array<ArrayBuffer>; height: number; width: number; part: Box }
  | { kind: "encode"; pixels: Uint8Array<ArrayBuffer>; rows: number; columns: number; height: number; width: number; part: Box }
  | { kind: "small"; latents: Int32Array<ArrayBuffer>; height: number; width: number };

export interface Results {
  sizes: Sizes;
  group: Int32Array<ArrayBuffer>;
  window: Uint8Array<ArrayBuffer>;
  small: Uint8Array<ArrayBuffer>;
  encode: Encoded;
}

export type ResultOf<T extends Task> = Results[T["kind"]];

/** Beyond so many bytes an instance is given up after its task, since its memory cannot shrink. */
const MAX_IDLE = 2 ** 27;

export class Runner {
  private kernel: Kernel | undefined;
  private choice: Options["kernel"];
  private readonly nets = new Map<string, Nets>();
  private rate: { of: Nets; rate: Rate } | undefined;

  /** `weights` is called where this runner has no such model. */
  async run<T extends Task>(setting: Setting, task: T, weights: () => Promise<Uint8Array>): Promise<ResultOf<T>> {
    if (this.kernel && (this.choice !== setting.kernel || this.kernel.size > MAX_IDLE)) this.forget();
    if (!this.kernel) [this.kernel, this.choice] = [await Kernel.create(setting.kernel), setting.kernel];
    const key = setting.identity + (setting.encoder ? " whole" : "");
    let nets = this.nets.get(key);
    if (!nets) {
      nets = new Nets(this.kernel, await checkedModel(this.kernel, await weights(), setting), setting.encoder);
      this.nets.set(key, nets);
    }
    return this.perform(nets, setting, task) as ResultOf<T>;
  }

  private perform(nets: Nets, setting: Setting, task: Task): Results[keyof Results] {
    const { config } = nets.model;
    if (task.kind === "sizes") {
      const halo = haloOf(config.decoder_blocks);
      return { latents: config.latents, halo, analysisHalo: analysisHalo(config.encoder_blocks) };
    }
    if (this.rate?.of !== nets || this.rate.rate.quality !== setting.quality) {
      this.rate = { of: nets, rate: new Rate(nets.model, setting.quality) };
    }
    const { rate } = this.rate, { height, width } = task;
    if (task.kind === "group") return decodeGroup(nets, rate, task.streams, height, width);
    if (task.kind === "small") return synthesiseSmall(nets, rate, task.latents, height, width, setting.gray);
    if (task.kind === "encode") {
      return encodeGroup(nets, rate, task.pixels, task.rows, task.columns, height, width, task.part);
    }
    return synthesise(nets, rate, task.latents, height, width, task.part, setting.gray);
  }

  private forget(): void {
    this.kernel = this.rate = undefined;
    this.nets.clear();
  }
}

/** The model of weights that prove to be those of an identity: a whole file by its own hash, a slim one by being
 * known. */
async function checkedModel(kernel: Kernel, data: Uint8Array, { identity, known, encoder }: Setting): Promise<Model> {
  const hash = await sha256(kernel, data);
  const expected = Object.hasOwn(known, identity) ? known[identity] : KNOWN[identity];
  if (hash !== expected && !hash.startsWith(identity)) {
    const why = expected ? "are damaged" : "prove to be another's, or nothing says that they are what they claim";
    throw new VaecodecError("model", `the weights given for model ${identity} ${why}`);
  }
  const model = new Model(data, hash === KNOWN[identity]);
  if (!(model.claimed ?? hash).startsWith(identity)) {
    throw new VaecodecError("model", `the weights given for model ${identity} are those of another`);
  }
  if (encoder && model.claimed) {
    throw new VaecodecError("model", `the weights given for model ${identity} can only decode: encoding needs the whole file`);
  }
  return model;
}

/** `crypto.subtle` is quicker, and missing on plain http. */
async function sha256(kernel: Kernel, data: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  return subtle ? hex(new Uint8Array(await subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>))) : kernel.sha256(data);
}
