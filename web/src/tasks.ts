/** The tasks that decoding and encoding consist of. All of it can be sent to a worker. */
import type { Encoded } from "./analysis.js";
import type { Streams } from "./container.js";
import type { Box } from "./grid.js";
import type { Options } from "./types.js";

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
  | {
      kind: "encode";
      pixels: Uint8Array<ArrayBuffer>;
      rows: number;
      columns: number;
      height: number;
      width: number;
      part: Box;
    }
  | { kind: "small"; latents: Int32Array<ArrayBuffer>; height: number; width: number };

export interface Results {
  sizes: Sizes;
  group: Int32Array<ArrayBuffer>;
  window: Uint8Array<ArrayBuffer>;
  small: Uint8Array<ArrayBuffer>;
  encode: Encoded;
}

export type ResultOf<T extends Task> = Results[T["kind"]];

/** What tells apart the models that a runner has. */
export function modelKey({ identity, encoder, kernel }: Setting): string {
  return [identity, kernel, encoder].join();
}
