/** Where tasks are done: in the calling thread, or in workers that share no memory. */
import type { ResultOf, Runner, Setting, Task } from "./runner.js";
import { type Options, VaecodecError } from "./types.js";
import { loadWeights } from "./weights.js";
import { Pool } from "./pool.js";

export interface Engine {
  /** How many tasks it does at the same time. */
  readonly parallel: number;
  run<T extends Task>(task: T): Promise<ResultOf<T>>;
}

let local: Runner | undefined;
let last: Promise<unknown> = Promise.resolve();
let pool: Pool | undefined;

/** An engine for the tasks of a file of so many pixels. */
export async function engineFor(setting: Setting, pixels: number, options: Options): Promise<Engine> {
  const weights = () => loadWeights(setting.identity, options, setting.encoder ? ".safetensors" : ".bin"), { signal } = options;
  const count = options.workers ?? usualWorkers(pixels);
  if (count > 0 && (await startPool(count, options))) {
    const workers = pool!;
    return { parallel: count, run: (task) => workers.run(setting, task, weights, count, signal) };
  }
  // Loaded where it is needed: workers have it, too.
  const runner = (local ??= new (await import("./runner.js")).Runner());
  return {
    parallel: 1,
    run: <T extends Task>(task: T) => {
      // One after another, with a pause for whatever else the thread has to do.
      const result = last.then(pause).then(() => {
        throwIfAborted(signal);
        return runner.run(setting, task, weights);
      });
      last = result.catch(() => {});
      return result;
    },
  };
}

/** Whether there is a pool of workers. */
async function startPool(count: number, { createWorker }: Options): Promise<boolean> {
  if (!createWorker && typeof Worker === "undefined") return false;
  if (!pool || (createWorker && pool.create !== createWorker)) {
    pool?.close();
    pool = new Pool(createWorker ?? (() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" })));
  }
  return pool.start(count);
}

function usualWorkers(pixels: number): number {
  const cores = typeof navigator === "undefined" ? 1 : (navigator.hardwareConcurrency ?? 2);
  return Math.max(Math.min(cores - 1, 4, 1 + Math.floor(pixels / 2 ** 19)), 1);
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new VaecodecError("aborted", "it was aborted");
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
