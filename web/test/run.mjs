/** Bundles the tests and runs them: `npm test [-- NAME ...]`. */
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const names = process.argv.slice(2);
const files = readdirSync("test").filter((file) => file.endsWith(".test.ts") && (!names.length || names.some((name) => file.includes(name))));
rmSync("build/test", { recursive: true, force: true });
await build({
  entryPoints: files.map((file) => `test/${file}`), outdir: "build/test", outExtension: { ".js": ".mjs" },
  bundle: true, format: "esm", platform: "node", target: "node20", sourcemap: "inline", packages: "external", logLevel: "warning",
});
// Node 20 has relaxed SIMD behind a flag; later ones know the flag no more.
const relaxed = Number(process.versions.node.split(".")[0]) < 22 ? ["--experimental-wasm-relaxed-simd"] : [];
const flags = ["--expose-gc", "--enable-source-maps", ...relaxed, "--test", "--test-concurrency=1", "--test-force-exit"];
const { status } = spawnSync(process.execPath, [...flags, ...files.map((file) => `build/test/${file.replace(".ts", ".mjs")}`)], { stdio: "inherit" });
process.exit(status ?? 1);
