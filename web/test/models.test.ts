/** Weights: what the package has is what the repository's models are; broken ones are refused. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Kernel } from "../src/kernel.js";
import { Model } from "../src/model.js";
import { KNOWN } from "../src/models.js";
import { VaecodecError } from "../src/types.js";
import { ROOT, TINY, WEIGHTS } from "./files.js";
import { generator } from "./mutants.js";
import { NO_PYTHON, python } from "./python.js";

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

test("known weights are those of the models here, which pass all checks", () => {
  assert.deepEqual(Object.keys(KNOWN).sort(), [...WEIGHTS.keys()].filter((identity) => identity !== "b948fc7b").sort());
  for (const [identity, hash] of Object.entries(KNOWN)) {
    const data = WEIGHTS.get(identity)!;
    assert.equal(sha256(data), hash);
    assert.ok(new Model(data).claimed!.startsWith(identity));
  }
});

test("slim weights have the tensors of the whole file, and its identity", () => {
  const whole = readFileSync(join(ROOT, "models/eye-cc455c78.safetensors"));
  const full = new Model(whole),
    slim = new Model(WEIGHTS.get("cc455c78")!);
  assert.equal(slim.claimed, sha256(whole));
  assert.deepEqual(slim.config, full.config);
  for (const name of full.names) {
    const encoder = /^(analysis|hyper_analysis)\.|^norm$/.test(name);
    assert.equal(slim.has(name), !encoder, name);
    if (!encoder) assert.deepEqual(slim.tensor(name), full.tensor(name), name);
  }
});

test("Python makes the same slim weights", { skip: NO_PYTHON }, () => {
  const program = "import sys; from vaecodec.model.file import load_model, slim_copy; sys.stdout.buffer.write(slim_copy(load_model()))";
  assert.equal(sha256(python(program)), KNOWN.cc455c78);
});

test("the kernel's SHA-256", async () => {
  const kernel = await Kernel.create("simd");
  for (const size of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1 << 20, (1 << 20) + 1, 2500000]) {
    const data = Uint8Array.from({ length: size }, (_, i) => (i * i) >> 3);
    assert.equal(kernel.sha256(data), sha256(data), `${size} bytes`);
  }
});

test("hostile models are refused", () => {
  const refused = (data: Uint8Array) => assert.throws(() => new Model(data), VaecodecError);
  for (const size of [0, 7, 8, 100, TINY.length - 1]) refused(TINY.slice(0, size));
  refused(Uint8Array.from([...TINY, 0]));
  const start = 8 + Number(new DataView(TINY.buffer, TINY.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(TINY.subarray(8, start)));
  const changed = (name: string, value: number) => {
    const data = new Uint8Array(TINY),
      [from, to] = header[name].data_offsets;
    data.fill(value, start + from, start + to);
    return data;
  };
  for (const [name, value] of Object.entries({
    gain: 0x7f,
    hyper_gain: 0x80,
    "tables.latent.radius": 0xff,
    "tables.hyper.radius": 0x01,
    "tables.latent.counts": 0,
    "prior.steps.1.head.weight": 0x80,
    "prior.hyper_synthesis.stem.shift": 200,
    "synthesis.stem.weight": 0x7c,
    "synthesis.blocks.rate": 0x50,
    "synthesis.head.bias": 0xff,
  }))
    refused(changed(name, value));
  const random = generator(5);
  for (let i = 0; i < 300; i++) {
    const data = new Uint8Array(TINY);
    data[8 + random(start - 8)]! ^= 1 << random(8);
    try {
      new Model(data);
    } catch (error) {
      assert.ok(error instanceof VaecodecError, String(error));
    }
  }
});
