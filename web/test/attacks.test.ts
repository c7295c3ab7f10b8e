/** Hostile files get the answers of attacks.json. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { VaecodecError, decode, inspect, preview } from "../src/index.js";
import { decodeImage } from "./decoder.js";
import { ATTACKS, TINY, vaec } from "./files.js";

const EXPECTED: Record<string, string> = JSON.parse(readFileSync(join(ATTACKS, "attacks.json"), "utf8"));
const options = { weights: { b948fc7b: TINY }, workers: 0, decodeImage };
const MIB = 2 ** 20,
  MEMORY = 96 * MIB;
/** Milliseconds that only a hang takes. */
const TIMEOUT = 60_000;

function resident(): number {
  gc!();
  return process.memoryUsage().rss;
}

await decode(vaec(ATTACKS, "no-streams"), options);

for (const [name, answer] of Object.entries(EXPECTED)) {
  test(name, { timeout: TIMEOUT }, async () => {
    const bytes = vaec(ATTACKS, name),
      before = resident();
    if (answer) {
      await assert.rejects(decode(bytes, options), (error) => {
        assert.ok(error instanceof VaecodecError, String(error));
        assert.match(error.message, new RegExp(answer));
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    } else {
      const { width, height, rgba } = await decode(bytes, options);
      assert.equal(rgba.length, 4 * width * height);
    }
    for (const salvage of [true, false]) {
      await preview(bytes, { ...options, salvage }).catch(expected);
      await decode(bytes, { ...options, salvage }).catch(expected);
    }
    try {
      inspect(bytes);
    } catch (error) {
      expected(error);
    }
    assert.ok(process.memoryUsage().rss - before < MEMORY, "too much memory");
  });
}

function expected(error: unknown): void {
  if (!(error instanceof VaecodecError)) throw error;
}
