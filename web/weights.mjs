/** Slim weights for the web: `npm run weights -- [MODEL.safetensors ...] [--out FOLDER]`.
 *
 * Writes `<identity>.bin` for each model file, which may be whole or slim already, and prints the identity and the
 * SHA-256 of each: a decoder knows slim weights by that (option `knownWeights`). Without names: the default model of
 * this package. */
import { DEFAULT, writeWeights } from "./slim.mjs";

const names = process.argv.slice(2), at = names.indexOf("--out");
const folder = at < 0 ? "." : names.splice(at, 2)[1];
for (const [identity, hash] of writeWeights(names.length ? names : [DEFAULT], folder)) console.log(identity, hash);
