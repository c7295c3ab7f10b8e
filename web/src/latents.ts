/** The latents of a file, as decoders must all find them. */
import { damaged } from "./bytes.js";
import { Container, MAX_PIXELS } from "./container.js";
import { Groups, engineOf } from "./decode.js";
import type { Latents, Options } from "./types.js";

export async function readLatents(bytes: Uint8Array, options: Options): Promise<Latents> {
  const container = new Container(bytes, options.maxPixels ?? MAX_PIXELS),
    { grid } = container;
  if (container.kept !== "latents") throw damaged(`the file has no latents: its image is kept as ${container.kept}`);
  const engine = await engineOf(container, options),
    groups = new Groups(container, engine, false);
  const { latents: channels } = await engine.run({ kind: "sizes" }),
    { bottom: rows, right: columns } = grid.bounds;
  const values = new Int32Array(channels * rows * columns);
  for (let index = 0; index < grid.count; index++) {
    const tile = grid.tile(index),
      found = (await groups.get(index))!;
    groups.drop(index);
    for (let row = tile.top, from = 0; row < tile.bottom; row++) {
      for (let column = tile.left; column < tile.right; column++) {
        for (let c = 0; c < channels; c++) values[(c * rows + row) * columns + column] = found[from++]!;
      }
    }
  }
  return { channels, rows, columns, values };
}
