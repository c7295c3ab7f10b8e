/** The files that tests decode, and their models. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { slim } from "../slim.mjs";

/** The repository. */
export const ROOT = join(process.cwd(), "..");
export const GOLDEN = join(ROOT, "tests/golden"),
  ATTACKS = join(ROOT, "tests/attacks");

export function vaec(folder: string, name: string): Uint8Array {
  return readFileSync(join(folder, `${name}.vaec`));
}

export const TINY: Uint8Array = readFileSync(join(GOLDEN, "tiny.safetensors"));

/** Weights of all models that golden streams name: the tiny one whole, the others slim. */
export const WEIGHTS = new Map<string, Uint8Array>([["b948fc7b", TINY]]);
for (const folder of ["models", "models/earlier"]) {
  for (const file of readdirSync(join(ROOT, folder)).filter((file) => file.endsWith(".safetensors"))) {
    const { data, identity } = slim(readFileSync(join(ROOT, folder, file)));
    WEIGHTS.set(identity.slice(0, 8), data);
  }
}
