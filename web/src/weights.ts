/** Where the weights of a model come from. What they are is checked by who uses them (runner.ts). */
import { type Options, VaecodecError, type Weights } from "./types.js";

declare const process: unknown;

const fetched = new Map<string, Promise<Uint8Array>>();

/** The bytes of the weights of a model. */
export async function loadWeights(
  identity: string,
  { weights = beside(), signal }: Options,
  suffix = ".bin",
): Promise<Uint8Array> {
  if (typeof weights === "object" && !(weights instanceof URL)) {
    const found =
      weights instanceof Map ? weights.get(identity) : Object.hasOwn(weights, identity) && weights[identity];
    if (!found) throw unknown(identity, "and its weights are not among those given");
    return found;
  }
  const url = /\/$/.test(String(weights)) ? `${weights}${identity}${suffix}` : String(weights);
  let found = fetched.get(url);
  if (!found) fetched.set(url, (found = download(url, identity)));
  try {
    return await found;
  } catch (error) {
    fetched.delete(url);
    signal?.throwIfAborted();
    throw error;
  }
}

export function forgetWeights(): void {
  fetched.clear();
}

function beside(): Weights {
  const here: string | undefined = import.meta.url;
  return here ? here.replace(/[^/]*$/, "") : {};
}

async function download(url: string, identity: string): Promise<Uint8Array> {
  if (/^file:/.test(url) && typeof process !== "undefined") return readFile(url, identity);
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin" });
  } catch {
    throw unknown(identity, "and its weights cannot be loaded");
  }
  if (!response.ok) throw unknown(identity, `and its weights are not to be had (HTTP ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Node does not fetch files. */
async function readFile(url: string, identity: string): Promise<Uint8Array> {
  const name = "node:fs/promises"; // bundlers need not know
  try {
    return await (await import(/* @vite-ignore */ name)).readFile(new URL(url));
  } catch {
    throw unknown(identity, "and its weights are not here");
  }
}

function unknown(identity: string, why: string): VaecodecError {
  return new VaecodecError("model", `the file was written with model ${identity}, ${why}`);
}
