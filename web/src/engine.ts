/** Where tasks are done: in the calling thread, or in workers that share no memory. */
import { IDLE, Pool } from "./pool.js";
import type { Runner } from "./runner.js";
import type { ResultOf, Setting, Task } from "./tasks.js";
import { type Options, VaecodecError } from "./types.js";
import { forgetWeights, loadWeights } from "./weights.js";

export interface Engine {
  /** How many tasks it does at the same time. */
  readonly parallel: number;
  run<T extends Task>(task: T): Promise<ResultOf<T>>;
}

/** Bytes of memory that are given back after a while without work. */
const MAX_IDLE = 2 ** 26;

let local: Runner | undefined;
let last: Promise<unknown> = Promise.resolve();
let idle: ReturnType<typeof setTimeout> | undefined;
const pools = new Map<() => Worker, Pool>();

/** An engine for the tasks of a file of so many pixels. */
export async function engineFor(setting: Setting, pixels: number, options: Options): Promise<Engine> {
  const weights = () => loadWeights(setting.identity, options, setting.encoder ? ".safetensors" : ".bin"),
    { signal } = options;
  const count = options.workers ?? usualWorkers(pixels), pool = count > 0 ? await startPool(count, options) : undefined;
  if (pool) return { parallel: count, run: (task) => refetched(pool.run(setting, task, weights, count, signal)) };
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
      last = result.catch(() => {}).then(shrink);
      return refetched(result);
    },
  };
}

/** Weights that turn out to be of no use are asked for again the next time. */
function refetched<T>(result: Promise<T>): Promise<T> {
  return result.catch((error) => {
    if (error instanceof VaecodecError && error.code === "model") forgetWeights();
    throw error;
  });
}

/** The memory of an instance cannot: it is given up as a whole, some time later. */
function shrink(): void {
  clearTimeout(idle);
  if (!local || local.size < MAX_IDLE) return;
  idle = setTimeout(() => (local = undefined), IDLE);
  (idle as { unref?(): void }).unref?.();
}

const createDefault = () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

/** The pool of workers that are made so; undefined where there can be none. */
async function startPool(count: number, { createWorker }: Options): Promise<Pool | undefined> {
  if (!createWorker && typeof Worker === "undefined") return undefined;
  const create = createWorker ?? createDefault;
  let pool = pools.get(create);
  if (!pool) pools.set(create, (pool = new Pool(create, () => pools.delete(create))));
  return (await pool.start(count)) ? pool : undefined;
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
