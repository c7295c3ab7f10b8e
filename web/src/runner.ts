/** Does tasks in the thread that calls it. */
import { analysisHalo, encodeGroup } from "./analysis.js";
import { hex } from "./bytes.js";
import { decodeGroup } from "./group.js";
import { Kernel } from "./kernel.js";
import { Model } from "./model.js";
import { KNOWN } from "./models.js";
import { Nets } from "./nets.js";
import { Rate } from "./rate.js";
import { haloOf, synthesise, synthesiseSmall } from "./synthesis.js";
import { type ResultOf, type Results, type Setting, type Task, modelKey } from "./tasks.js";
import { VaecodecError } from "./types.js";

export class Runner {
  /** Each in an instance of the kernel of its own. */
  private readonly nets = new Map<string, Nets>();
  private rate: { of: Nets; rate: Rate } | undefined;

  /** `weights` is called where this runner has no such model. */
  async run<T extends Task>(setting: Setting, task: T, weights: () => Promise<Uint8Array>): Promise<ResultOf<T>> {
    const key = modelKey(setting);
    let nets = this.nets.get(key);
    if (!nets) {
      const kernel = await Kernel.create(setting.kernel);
      nets = new Nets(kernel, await checkedModel(kernel, await weights(), setting), setting.encoder);
      this.nets.set(key, nets);
    }
    return this.perform(nets, setting, task) as ResultOf<T>;
  }

  /** Bytes of memory that all instances hold. */
  get size(): number {
    return [...this.nets.values()].reduce((sum, { kernel }) => sum + kernel.size, 0);
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
    throw new VaecodecError(
      "model",
      `the weights given for model ${identity} can only decode: encoding needs the whole file`,
    );
  }
  return model;
}

/** `crypto.subtle` is quicker, and missing on plain http. */
async function sha256(kernel: Kernel, data: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  return subtle
    ? hex(new Uint8Array(await subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>)))
    : kernel.sha256(data);
}
