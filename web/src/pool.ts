/** Workers, each with an instance of the kernel; they share no memory, so no page needs special headers. */
import { type ResultOf, type Setting, type Task, modelKey } from "./tasks.js";
import { VaecodecError } from "./types.js";
import type { Answer, Order } from "./serve.js";

/** Milliseconds without work after which memory is given back: that of workers with the workers. */
export const IDLE = 10_000;

interface Job {
  setting: Setting;
  task: Task;
  weights: () => Promise<Uint8Array>;
  signal: AbortSignal | undefined;
  /** How many workers may do what it is a part of. */
  limit: number;
  done: (result: any) => void;
  failed: (error: Error) => void;
}

interface Member {
  worker: Worker;
  ready: Promise<boolean>;
  models: Set<string>;
  job: Job | undefined;
}

export class Pool {
  private members: Member[] = [];
  private readonly queue: Job[] = [];
  private idle: ReturnType<typeof setTimeout> | undefined;

  /** `closed` is called once all workers have ended. */
  constructor(
    private readonly create: () => Worker,
    private readonly closed: () => void,
  ) {}

  /** Have `count` workers; false where there can be none. */
  async start(count: number): Promise<boolean> {
    try {
      while (this.members.length < count) this.members.push(this.employ());
    } catch {
      // As many as there are.
    }
    this.rest();
    return (await Promise.all(this.members.map(({ ready }) => ready))).some(Boolean);
  }

  run<T extends Task>(
    setting: Setting, task: T, weights: () => Promise<Uint8Array>, limit: number, signal?: AbortSignal,
  ): Promise<ResultOf<T>> {
    return new Promise<ResultOf<T>>((done, failed) => {
      const abort = () => failed(new VaecodecError("aborted", "it was aborted"));
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort);
      const settled = <V>(then: (value: V) => void) => (value: V) => {
        signal?.removeEventListener("abort", abort);
        then(value);
      };
      this.queue.push({ setting, task, weights, signal, limit, done: settled(done), failed: settled(failed) });
      if (this.members.length) this.dispatch();
      else this.close();
    });
  }

  /** End when there has been no work for a while. */
  private rest(): void {
    clearTimeout(this.idle);
    this.idle = setTimeout(() => {
      if (this.queue.length || this.members.some(({ job }) => job)) this.rest();
      else this.close();
    }, IDLE);
    (this.idle as { unref?(): void }).unref?.();
  }

  private close(): void {
    clearTimeout(this.idle);
    this.closed();
    for (const { worker } of this.members) worker.terminate();
    this.members = [];
    for (const { failed } of this.queue.splice(0)) failed(lost());
  }

  private employ(): Member {
    const worker = this.create();
    const member: Member = { worker, models: new Set(), job: undefined, ready: Promise.resolve(false) };
    member.ready = new Promise((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if (data.id < 0) resolve(true);
        else this.finish(member, data);
      };
      worker.onerror = (event) => {
        event.preventDefault?.();
        this.dismiss(member);
        resolve(false);
      };
    });
    return member;
  }

  private dismiss(member: Member): void {
    member.worker.terminate();
    this.members = this.members.filter((other) => other !== member);
    member.job?.failed(lost());
    if (!this.members.length) this.close();
  }

  private dispatch(): void {
    this.members.forEach((member, i) => {
      if (member.job) return;
      const at = this.queue.findIndex(({ limit }) => i < limit);
      if (at >= 0) this.give(member, this.queue.splice(at, 1)[0]!);
    });
    this.rest();
  }

  private async give(member: Member, job: Job): Promise<void> {
    const { setting, task, signal } = job, key = modelKey(setting);
    member.job = job;
    try {
      const order: Order = { id: 0, setting, task };
      if (signal?.aborted) return this.finish(member, { id: 0 });
      if (!member.models.has(key)) order.weights = alone(await job.weights());
      member.models.add(key);
      const moved = "latents" in task ? task.latents : "pixels" in task ? task.pixels : undefined;
      member.worker.postMessage(order, moved ? [moved.buffer] : []);
    } catch (error) {
      this.finish(member, { id: 0 }, error as Error);
    }
  }

  private finish(member: Member, { result, error }: Answer, failure?: Error): void {
    const { job } = member;
    member.job = undefined;
    if (error) {
      if (error.code === "model" && job) member.models.delete(modelKey(job.setting));
      failure = error.code === "unexpected" ? new Error(error.message) : new VaecodecError(error.code, error.message);
    }
    if (failure) job?.failed(failure);
    else job?.done(result);
    this.dispatch();
  }
}

function lost(): VaecodecError {
  return new VaecodecError("unsupported", "a worker ended unexpectedly: not enough memory?");
}

/** Bytes that are sent take with them all that they are a view of. */
function alone(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
