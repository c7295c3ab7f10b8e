/** The package: its sizes, and that it installs into a Vite project, type-checks and is bundled. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync, inflateSync } from "node:zlib";
import * as kernels from "../src/kernels.js";

const DIST = join(process.cwd(), "dist");

test("sizes", () => {
  let inlined = 0;
  for (const name of ["simd", "relaxed"] as const) {
    const size = statSync(join(DIST, `kernel-${name}.wasm`)).size;
    assert.ok(size < 20_000, `kernel ${name}: ${size}`);
    assert.equal(inflateSync(Buffer.from(kernels[name], "base64")).length, size);
    inlined += kernels[name].length;
  }
  const scripts = readdirSync(DIST).filter((name) => name.endsWith(".js"));
  assert.ok(scripts.includes("index.js") && scripts.includes("worker.js"));
  for (const name of scripts) {
    const text = readFileSync(join(DIST, name), "utf8"),
      size = text.length - (text.includes(kernels.simd) ? inlined : 0);
    assert.ok(size < 30_000, `${name}: ${size} bytes besides the kernels`);
  }
  const all = Buffer.concat(scripts.map((name) => readFileSync(join(DIST, name))));
  assert.ok(gzipSync(all).length < 36_000, `all scripts with both kernels: ${gzipSync(all).length} bytes, gzipped`);
});

test("kernels that the scripts hold are built of the sources", async () => {
  for (const name of ["simd", "relaxed"] as const) {
    assert.deepEqual(readFileSync(join(DIST, `kernel-${name}.wasm`)), inflateSync(Buffer.from(kernels[name], "base64")));
  }
  assert.notEqual(kernels.simd, kernels.relaxed);
});

test("a Vite project", { timeout: 600_000 }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "vaecodec-vite-"));
  const run = (command: string, cwd = folder) => {
    const { status, stdout, stderr } = spawnSync(command, { shell: true, cwd, encoding: "utf8" });
    return { ok: status === 0, text: `${command}\n${stdout}\n${stderr}` };
  };
  try {
    const packed = run(`npm pack --ignore-scripts --pack-destination ${folder}`, process.cwd());
    assert.ok(packed.ok, packed.text);
    const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
    const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
    write("package.json", JSON.stringify({ private: true, type: "module" }));
    write("index.html", '<script type="module" src="/main.ts"></script>');
    write(
      "tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          target: "ES2022",
          module: "ESNext",
          moduleResolution: "bundler",
          strict: true,
          noEmit: true,
          types: ["vite/client"],
          lib: ["ES2022", "DOM"],
        },
        include: ["main.ts"],
      }),
    );
    write(
      "main.ts",
      `
import { type Decoded, VaecodecError, decode, inspect, preview, toPng } from "vaecodec";
import weights from "vaecodec/weights/cc455c78.bin?url";

export async function show(bytes: Uint8Array): Promise<Blob | string> {
  try {
    const { width, height } = inspect(bytes);
    const small: Decoded = await preview(bytes, { weights });
    const picture = await decode(bytes, { weights, workers: 2, progress: (fraction: number) => console.log(fraction) });
    console.log(width, height, small.rgba.length, picture.icc?.length);
    return new Blob([await toPng(picture)], { type: "image/png" });
  } catch (error) {
    if (error instanceof VaecodecError) return error.message;
    throw error;
  }
}
console.log(show);
`,
    );
    const installed = run(`npm install --prefer-offline --no-audit --no-fund ./${tarball} vite@7.2.4 typescript@5.9.3`);
    if (!installed.ok && /ENOTFOUND|ECONN|network|EAI_AGAIN/.test(installed.text)) return t.skip("no registry here");
    assert.ok(installed.ok, installed.text);
    const checked = run("npx --no-install tsc");
    assert.ok(checked.ok, checked.text);
    const built = run("npx --no-install vite build");
    assert.ok(built.ok, built.text);
    const assets = readdirSync(join(folder, "dist/assets"));
    assert.ok(
      assets.some((name) => name.endsWith(".bin")) && assets.some((name) => name.startsWith("worker")),
      String(assets),
    );
    write("main.ts", 'import { decode } from "vaecodec";\ndecode("a name");\n');
    assert.ok(!run("npx --no-install tsc").ok);
    assert.ok(existsSync(join(folder, "node_modules/vaecodec/dist/index.js")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
