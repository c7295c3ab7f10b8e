/** Mutants of valid files whose checksums are repaired, so that mutations reach the symbols. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { crc32, view } from "../src/bytes.js";
import { GOLDEN } from "./files.js";

/** Files of the tiny model, and some that keep their image. */
export const SEEDS = [GOLDEN, join(GOLDEN, "kept")]
  .flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".vaec") && !/^(eye|fast)-/.test(name))
      .map((name) => new Uint8Array(readFileSync(join(folder, name)))),
  )
  .filter((bytes) => bytes.length < 3000);

/** Random numbers of a seed (mulberry32): an integer below n. */
export function generator(seed: number): (n: number) => number {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** A seed file with some bytes changed, bits flipped, bytes taken out or put in. */
export function mutant(random: (n: number) => number): Uint8Array {
  let bytes = SEEDS[random(SEEDS.length)]!.slice();
  for (let i = 1 + random(4); i > 0; i--) {
    // Headers are short: give them their share.
    const at = random(random(2) ? bytes.length : Math.min(40, bytes.length)),
      kind = random(8);
    if (kind < 3) bytes[at] = random(256);
    else if (kind < 6) bytes[at]! ^= 1 << random(8);
    else if (kind === 6) bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 1 + random(4))]);
    else bytes = Uint8Array.from([...bytes.subarray(0, at), random(256), ...bytes.subarray(at)]);
  }
  return repaired(bytes);
}

/** The file with right checksums, as far as its header says where they are. */
function repaired(bytes: Uint8Array): Uint8Array {
  try {
    repair(bytes);
  } catch {
    // It ends before that.
  }
  return bytes;
}

function repair(bytes: Uint8Array): void {
  let at = 6;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= bytes.length || scale > 2 ** 28) throw new Error("no number");
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const seal = (start: number, end: number) => view(bytes).setUint32(end, crc32(bytes.subarray(start, end)), true);
  bytes.set([..."VAEC"].map((c) => c.charCodeAt(0)));
  const flags = bytes[5]!,
    width = varint(),
    height = varint();
  at += 6;
  const side = flags & 4 ? 2 ** bytes[at++]! : 2 ** 20;
  if (bytes[4] === 2 && !(flags & 6)) return seal(0, bytes.length - 4);
  const parts: number[] = [];
  if (flags & 2)
    for (let i = varint(); i > 0; i--) {
      at++;
      parts.push(varint());
    }
  const tiles = bytes[4] === 3 ? 0 : Math.ceil(width / side) * Math.ceil(height / side);
  for (let i = 0; i < Math.min(tiles, 10000); i++) parts.push(4 * (varint() + varint()));
  seal(0, at);
  at += 4;
  for (const size of parts) {
    seal(at, at + size);
    at += size + 4;
  }
}
