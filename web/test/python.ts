/** The codec in Python, where there is one (VAECODEC_PYTHON, else python3): what it decodes is what we must. */
import { spawnSync } from "node:child_process";
import { ROOT } from "./files.js";

const PYTHON = process.env.VAECODEC_PYTHON ?? "python3";
const env = { ...process.env, PYTHONPATH: ROOT, OMP_NUM_THREADS: "1" };

function run(code: string, ...args: string[]) {
  return spawnSync(PYTHON, ["-c", code, ...args], { env, maxBuffer: 2 ** 28, cwd: ROOT });
}

/** Why tests that need Python are skipped; false where they are not. */
export const NO_PYTHON = run("import numpy, vaecodec; vaecodec.Codec(threads=1)").status
  ? `no vaecodec in ${PYTHON} (VAECODEC_PYTHON)`
  : false;

/** Run a program; what it writes to standard output. */
export function python(code: string, ...args: string[]): Uint8Array {
  const { status, stdout, stderr } = run(code, ...args);
  if (status !== 0) throw new Error(String(stderr));
  return stdout;
}

/** RGBA of .vaec files as Python decodes them; the tiny model serves files that name it. */
export function decodedByPython(...paths: string[]): Uint8Array[] {
  const all = python(
    `
import sys, numpy as np, vaecodec
tiny = vaecodec.Codec("tests/golden/tiny.safetensors", threads=1)
others = vaecodec.Codec(threads=1)
for path in sys.argv[1:]:
    codec = tiny if vaecodec.inspect(path)["model_identity"] == "b948fc7b" else others
    pixels = np.asarray(codec.decode(path).convert("RGBA"))
    sys.stdout.buffer.write(np.int32([pixels.size]).tobytes() + pixels.tobytes())
`,
    ...paths,
  );
  const found = [];
  for (let at = 0; at < all.length;) {
    const size = new DataView(all.buffer, all.byteOffset + at).getInt32(0, true);
    found.push(all.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return found;
}
