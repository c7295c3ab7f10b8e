/** What a worker does: one task after another. */
import { Runner } from "./runner.js";
import type { Setting, Task } from "./tasks.js";
import { VaecodecError } from "./types.js";

/** What a worker is sent; weights come with the first task of a model. */
export interface Order {
  id: number;
  setting: Setting;
  task: Task;
  weights?: Uint8Array;
}

/** What it answers; the first answer, of id -1, says that it is ready. */
export interface Answer {
  id: number;
  result?: unknown;
  error?: { code: VaecodecError["code"] | "unexpected"; message: string };
}

/** Answers orders for as long as the worker lives. */
export function serve(): void {
  const runner = new Runner();
  const scope = self as unknown as { postMessage(answer: Answer, transfer: Transferable[]): void; onmessage: unknown };

  scope.onmessage = async ({ data: { id, setting, task, weights } }: MessageEvent<Order>) => {
    try {
      const result = await runner.run(setting, task, async () => {
        if (!weights) throw new VaecodecError("model", `the weights of model ${setting.identity} did not arrive`);
        return weights;
      });
      scope.postMessage({ id, result }, ArrayBuffer.isView(result) ? [result.buffer as ArrayBuffer] : []);
    } catch (error) {
      const code = error instanceof VaecodecError ? error.code : "unexpected";
      scope.postMessage({ id, error: { code, message: (error as Error).message } }, []);
    }
  };
  scope.postMessage({ id: -1 }, []);
}
