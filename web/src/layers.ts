/** What a model is made of: the layers of its nets. */
import type { Config } from "./model.js";

/** The pointwise and depthwise layers of the integer nets: outputs, inputs of each and side of the kernel. */
export function exactLayers(config: Config): Record<string, [number, number, number]> {
  const { hyper_channels: h, context_channels: k, latents: m } = config,
    net = "prior.hyper_synthesis";
  const layers: Record<string, [number, number, number]> = {
    [`${net}.stem`]: [h, config.hyper_latents, 1],
    [`${net}.head`]: [h, h, 1],
    [`${net}.up1`]: [4 * h, h, 1],
    [`${net}.up2`]: [4 * h, h, 1],
  };
  for (const i of [1, 2, 3]) layers[`${net}.spatial${i}`] = [h, 1, 3];
  for (let step = 0; step < 4; step++) {
    const name = `prior.steps.${step}`;
    layers[`${name}.head`] = [k, h + (step ? 2 * m : 0), 1];
    layers[`${name}.out`] = [2 * m, k, 1];
    for (let i = 0; i < config.context_blocks; i++) {
      layers[`${name}.blocks.${i}.spatial`] = [k, 1, 3];
      layers[`${name}.blocks.${i}.mix`] = [k, k, 1];
    }
  }
  return layers;
}

/** The layers of the float nets; those that only encoders need, too. */
export function floatLayers(config: Config, encoder: boolean): Record<string, [number, number, number]> {
  const { channels: c, latents: m, hyper_channels: h } = config;
  const layers: Record<string, [number, number, number]> = {
    "synthesis.stem": [4 * c, m, 1],
    "synthesis.head": [192, c, 1],
  };
  if (config.shortcut) layers["synthesis.shortcut"] = [768, m, 1];
  addBlocks(layers, "synthesis", config, config.decoder_blocks);
  if (!encoder) return layers;
  Object.assign(layers, {
    "analysis.stem": [c, 192, 1],
    "analysis.head": [m, 4 * c, 1],
    "hyper_analysis.stem": [h, 2 * m, 1],
    "hyper_analysis.mix": [h, h, 1],
    "hyper_analysis.down1": [h, 4 * h, 1],
    "hyper_analysis.down2": [h, 4 * h, 1],
    "hyper_analysis.spatial1": [h, 1, 3],
    "hyper_analysis.spatial2": [h, 1, 3],
    "hyper_analysis.head": [config.hyper_latents, h, 1],
  });
  if (config.shortcut) layers["analysis.shortcut"] = [m, 768, 1];
  addBlocks(layers, "analysis", config, config.encoder_blocks);
  return layers;
}

function addBlocks(layers: Record<string, [number, number, number]>, net: string, config: Config, count: number): void {
  const { channels: c, expansion } = config;
  for (let i = 0; i < count; i++) {
    const block = `${net}.blocks.layers.${i}`;
    layers[`${block}.mix_in`] = layers[`${block}.mix_out`] = [c, c, 1];
    layers[`${block}.spatial`] = [c, 1, 3];
    layers[`${block}.expand`] = [expansion * c, c, 1];
    layers[`${block}.contract`] = [c, expansion * c, 1];
  }
}
