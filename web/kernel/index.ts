/** The kernel: everything of decoding and encoding that costs time. Addresses are bytes in the imported memory, whose owner gives
 * out all of it from `heap` on; nothing here allocates. */

export { depthwise, pack, pointwise, widen } from "./matrix";
export { decodeKeyed, decodeRuns, finishDecoder, startDecoder } from "./range";
export { dequantise, hyperLevels, joinLatents, scales } from "./prior";
export {
  down, encodeKeyed, encodeRuns, finishEncoder, hyperInputs, multiply, patches, quantise, startEncoder,
} from "./encode";
export { gather, picture, smallPicture, up } from "./layout";
export { sha256Blocks } from "./sha256";

export const heap: i32 = <i32>__heap_base;
