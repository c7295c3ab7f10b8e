/** Builds dist/: kernels, bundles, types, weights of the default model. Needs what the lock file names, no more. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { DEFAULT, writeWeights } from "./slim.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
process.chdir(here);
rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");

const KERNELS = { simd: "simd", relaxed: "simd,relaxed-simd" };
for (const [name, features] of Object.entries(KERNELS)) {
  const options = ["kernel/index.ts", "--outFile", `dist/kernel-${name}.wasm`, "--enable", features];
  const flags = ["--runtime", "stub", "--importMemory", "--noAssert", "-O3", "--converge", "--use", "abort="];
  const { error, stderr } = await asc.main([...options, ...flags]);
  if (error) throw new Error(`${error.message}\n${stderr}`);
}

// Within the scripts, so that no bundler and no server needs to know of them.
const base64 = (name) => deflateSync(readFileSync(`dist/kernel-${name}.wasm`), { level: 9 }).toString("base64");
const lines = Object.keys(KERNELS).map((name) => `export const ${name} =\n  "${base64(name)}";\n`);
writeFileSync("src/kernels.ts", `/** Made by build.mjs of kernel/: WebAssembly, deflated, in base64. */\n${lines.join("")}`);

await build({
  entryPoints: ["src/index.ts", "src/encode.ts", "src/worker.ts", "src/img.ts"],
  outdir: "dist", bundle: true, splitting: true, chunkNames: "[name]-[hash]", minify: true, format: "esm", target: "es2022", charset: "utf8",
});
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
for (const project of ["tsconfig.json", "tsconfig.page.json"]) execFileSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
writeWeights([DEFAULT], "dist");
await import("./page/build.mjs");
