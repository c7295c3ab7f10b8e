/** Writes files (FORMAT.md, section 1), always of version 2. */
import { concat } from "./alpha.js";
import { crc32 } from "./bytes.js";
import type { Streams } from "./container.js";

export interface Head {
  width: number;
  height: number;
  /** In 1/100. */
  quality: number;
  /** Identity of the model: 8 hexadecimal digits. */
  model: string;
  gray: boolean;
  tileLog2: number | null;
}

/** The bytes of a file; `groups` in raster order of the tiles. */
export function writeContainer(
  head: Head,
  groups: Streams[],
  sections: Map<number, Uint8Array>,
): Uint8Array<ArrayBuffer> {
  const tiled = head.tileLog2 !== null,
    flags = Number(head.gray) + (sections.size ? 2 : 0) + (tiled ? 4 : 0);
  const out: number[] = [...[..."VAEC"].map((c) => c.charCodeAt(0)), 2, flags];
  out.push(...varint(head.width), ...varint(head.height), head.quality & 255, head.quality >> 8);
  for (let i = 0; i < 8; i += 2) out.push(parseInt(head.model.slice(i, i + 2), 16));
  if (tiled) out.push(head.tileLog2!);
  if (sections.size) {
    out.push(...varint(sections.size));
    for (const [kind, payload] of sections) out.push(kind, ...varint(payload.length));
  }
  if (!flags || flags === 1) {
    // A plain file saves the second length and a checksum: one covers all of it.
    const { hyper, latent } = groups[0]!;
    out.push(...varint(hyper.length / 4));
    return sealed(concat([Uint8Array.from(out), hyper, latent]));
  }
  for (const { hyper, latent } of groups) out.push(...varint(hyper.length / 4), ...varint(latent.length / 4));
  const payloads = [...sections.values(), ...groups.map(({ hyper, latent }) => concat([hyper, latent]))];
  return concat([Uint8Array.from(out), ...payloads].map(sealed));
}

function varint(value: number): number[] {
  const out = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push((value & 127) | 128);
  return [...out, value];
}

function sealed(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat([data, new Uint8Array(Uint32Array.of(crc32(data)).buffer)]);
}
