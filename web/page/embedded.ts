/** What a page carries: files, and weights of models, each in an element of its own (vaecodec/viewer/offline.py). */
import { fromBase64 } from "../src/bytes.js";

/** A file in the page. */
export interface Named {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Take out all elements with `data-<kind>`: their names and bytes. */
function taken(kind: "file" | "weights"): Named[] {
  return [...document.querySelectorAll<HTMLElement>(`script[data-${kind}]`)].map((element) => {
    element.remove();
    return { name: element.dataset[kind]!, bytes: fromBase64(element.textContent!) };
  });
}

export const files = (): Named[] => taken("file");

async function inflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Weights by the identity of the model, gzipped in the page: of whole models, and of what decodes alone. */
export async function weights(): Promise<Map<string, Uint8Array>> {
  const found = taken("weights").map(async ({ name, bytes }) => [name, await inflated(bytes)] as const);
  return new Map(await Promise.all(found));
}
