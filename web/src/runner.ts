/** Does the tasks that decoding consists of, in the thread that calls it. */
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
}

/** Sizes of a model that say how to cut the work. */
export interface Sizes {
  latents: number;
  halo: number;
}

export type Task =
  | { kind: "sizes" }
  | { kind: "group"; streams: Streams; height: number; width: number }
  | { kind: "window"; latents: Int32Array<ArrayBuffer>; height: number; width: number; part: Box }
  | { kind: "small"; latents: Int32Array<ArrayBuffer>; height: number; width: number };

export interface Results {
  sizes: Sizes;
  group: Int32Array<ArrayBuffer>;
  window: Uint8Array<ArrayBuffer>;
  small: Uint8Array<ArrayBuffer>;
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
    let nets = this.nets.get(setting.identity);
    if (!nets) {
      nets = new Nets(this.kernel, await checkedModel(this.kernel, await weights(), setting));
      this.nets.set(setting.identity, nets);
    }
    return this.perform(nets, setting, task) as ResultOf<T>;
  }

  private perform(nets: Nets, setting: Setting, task: Task): Results[keyof Results] {
    const { config } = nets.model;
    if (task.kind === "sizes") return { latents: config.latents, halo: haloOf(config.decoder_blocks) };
    if (this.rate?.of !== nets || this.rate.rate.quality !== setting.quality) {
      this.rate = { of: nets, rate: new Rate(nets.model, setting.quality) };
    }
    const { rate } = this.rate, { height, width } = task;
    if (task.kind === "group") return decodeGroup(nets, rate, task.streams, height, width);
    if (task.kind === "small") return synthesiseSmall(nets, rate, task.latents, height, width, setting.gray);
    return synthesise(nets, rate, task.latents, height, width, task.part, setting.gray);
  }

  private forget(): void {
    this.kernel = this.rate = undefined;
    this.nets.clear();
  }
}

/** The model of weights that prove to be those of an identity: a whole file by its own hash, a slim one by being
 * known. */
async function checkedModel(kernel: Kernel, data: Uint8Array, { identity, known }: Setting): Promise<Model> {
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
  return model;
}

/** `crypto.subtle` is quicker, and missing on plain http. */
async function sha256(kernel: Kernel, data: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  return subtle ? hex(new Uint8Array(await subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>))) : kernel.sha256(data);
}
