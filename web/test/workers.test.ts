/** Workers give the pixels of a single thread, however many they are. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Worker as Thread } from "node:worker_threads";
import { VaecodecError, decode, preview } from "../src/index.js";
import { GOLDEN, WEIGHTS, vaec } from "./files.js";

const built = pathToFileURL(join(process.cwd(), "dist/worker.js")).href;
let started = 0;

/** A worker of the built package. */
function createWorker(): Worker {
  started++;
  const thread = new Thread(join(process.cwd(), "test/worker-shim.mjs"), { workerData: built });
  const worker = {
    postMessage: (message: unknown, transfer: any) => thread.postMessage(message, transfer),
    terminate: () => thread.terminate(),
    onmessage: null as any,
    onerror: null as any,
  };
  thread.on("message", (data) => worker.onmessage?.({ data }));
  thread.on("error", (error) => worker.onerror?.(error));
  return worker as unknown as Worker;
}

const options = { weights: WEIGHTS, createWorker };

test("pixels do not depend on the number of workers", async () => {
  for (const name of ["tiny-tiles-wide", "tiny-tiles-alpha", "eye-cc455c78-tiles", "eye-cc455c78-q50", "tiny-gray"]) {
    const bytes = vaec(GOLDEN, name),
      single = await decode(bytes, { weights: WEIGHTS, workers: 0 });
    for (const workers of [1, 2, 3]) {
      const fractions: number[] = [];
      const { rgba } = await decode(bytes, { ...options, workers, progress: (fraction) => fractions.push(fraction) });
      assert.deepEqual(rgba, single.rgba, `${name}, ${workers} workers`);
      assert.equal(fractions.at(-1), 1);
    }
    const small = await preview(bytes, { ...options, workers: 2 });
    assert.deepEqual(small.rgba, (await preview(bytes, { weights: WEIGHTS, workers: 0 })).rgba);
  }
  assert.equal(started, 3);
});

test("several pictures at a time", async () => {
  const names = ["tiny-tiles", "eye-cc455c78-q5", "tiny-131x97", "fast-2341a3a8-q50"];
  const single = await Promise.all(names.map((name) => decode(vaec(GOLDEN, name), { weights: WEIGHTS, workers: 0 })));
  const several = await Promise.all(names.map((name) => decode(vaec(GOLDEN, name), { ...options, workers: 2 })));
  several.forEach(({ rgba }, i) => assert.deepEqual(rgba, single[i]!.rgba));
});

test("errors come back as they are", async () => {
  const bytes = new Uint8Array(vaec(GOLDEN, "tiny-tiles"));
  bytes[bytes.length - 9]! ^= 4;
  const message = await decode(bytes, { weights: WEIGHTS, workers: 0 }).catch((error: Error) => error.message);
  await assert.rejects(
    decode(bytes, { ...options, workers: 2 }),
    (error: Error) => error instanceof VaecodecError && error.message === message,
  );
  const unknown = decode(vaec(GOLDEN, "fast-ms-ssim-9e966cdd-q5"), { ...options, weights: {}, workers: 2 });
  await assert.rejects(unknown, (error: Error) => error instanceof VaecodecError && error.code === "model");
});

test("decoding can be aborted", async () => {
  const abort = new AbortController(),
    picture = decode(vaec(GOLDEN, "eye-cc455c78-tiles"), { ...options, workers: 1, signal: abort.signal });
  abort.abort();
  await assert.rejects(picture, (error: Error) => error instanceof VaecodecError && error.code === "aborted");
  await decode(vaec(GOLDEN, "eye-cc455c78-q5"), { ...options, workers: 1 });
});

test("where workers fail, the calling thread decodes", async () => {
  const broken = () => {
    const worker = { postMessage() {}, terminate() {}, onmessage: null, onerror: null as any };
    setTimeout(() => worker.onerror({}), 1);
    return worker as unknown as Worker;
  };
  const bytes = vaec(GOLDEN, "tiny-131x97"),
    { rgba } = await decode(bytes, { weights: WEIGHTS, createWorker: broken, workers: 2 });
  assert.deepEqual(rgba, (await decode(bytes, { weights: WEIGHTS, workers: 0 })).rgba);
});
