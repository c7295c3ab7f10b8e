/** Workers, each with an instance of the kernel; they share no memory, so no page needs special headers. */
import type { ResultOf, Setting, Task } from "./runner.js";
import { VaecodecError } from "./types.js";
import type { Answer, Order } from "./worker.js";

/** Milliseconds without work after which workers are ended, and with them their memory. */
const IDLE = 10_000;

interface Job {
  setting: Setting;
  task: Task;
  weights: () => Promise<Uint8Array>;
  signal: AbortSignal | undefined;
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

  constructor(readonly create: () => Worker) {}

  /** Have `count` workers; false where there can be none. */
  async start(count: number): Promise<boolean> {
    try {
      while (this.members.length < count) this.members.push(this.employ());
    } catch {
      // As many as there are.
    }
    return (await Promise.all(this.members.map(({ ready }) => ready))).some(Boolean);
  }

  run<T extends Task>(
    setting: Setting, task: T, weights: () => Promise<Uint8Array>, limit: number, signal?: AbortSignal,
  ): Promise<ResultOf<T>> {
    return new Promise((done, failed) => {
      if (signal?.aborted) return failed(aborted());
      const job = { setting, task, weights, signal, done, failed };
      signal?.addEventListener("abort", () => failed(aborted()), { once: true });
      this.queue.push(job);
      this.dispatch(limit);
    });
  }

  close(): void {
    for (const { worker, job } of this.members) {
      worker.terminate();
      job?.failed(aborted());
    }
    this.members = [];
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
    member.job?.failed(new VaecodecError("unsupported", "a worker ended unexpectedly: not enough memory?"));
    if (!this.members.length) for (const job of this.queue.splice(0)) job.failed(aborted());
  }

  private dispatch(limit: number): void {
    clearTimeout(this.idle);
    const free = this.members.slice(0, limit).filter(({ job }) => !job);
    for (const member of free) {
      let job = this.queue.shift();
      while (job?.signal?.aborted) job = this.queue.shift();
      if (!job) break;
      this.give(member, job);
    }
    if (!this.queue.length && this.members.every(({ job }) => !job)) {
      this.idle = setTimeout(() => this.close(), IDLE);
      (this.idle as { unref?(): void }).unref?.();
    }
  }

  private async give(member: Member, job: Job): Promise<void> {
    const { setting, task } = job;
    member.job = job;
    const order: Order = { id: 0, setting, task };
    try {
      const key = keyOf(setting);
      if (!member.models.has(key)) order.weights = await job.weights();
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
      if (error.code === "model" && job) member.models.delete(keyOf(job.setting));
      failure = error.code === "unexpected" ? new Error(error.message) : new VaecodecError(error.code, error.message);
    }
    if (failure) job?.failed(failure);
    else job?.done(result);
    this.dispatch(this.members.length);
  }
}

function aborted(): VaecodecError {
  return new VaecodecError("aborted", "it was aborted");
}

/** What tells models apart that a worker has. */
function keyOf({ identity, encoder }: Setting): string {
  return identity + (encoder ? " whole" : "");
}
