/** Builds dist/page.html, one file with all scripts and both kernels. `--install` also copies it to vaecodec/web/, where
 * `vaecodec view` finds it. */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { build, transform } from "esbuild";

const { outputFiles } = await build({
  entryPoints: ["page/main.ts"], write: false, bundle: true, minify: true, format: "iife", target: "es2022", charset: "utf8",
  define: { "import.meta.url": "undefined" },
});
const { code } = await transform(readFileSync("page/page.css", "utf8"), { loader: "css", minify: true });
// In HTML a script ends at the first of these, whatever it stands in.
const script = outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
const hash = `sha256-${createHash("sha256").update(script).digest("base64")}`;
const parts = { style: code.trim(), script, hash };
const page = readFileSync("page/page.html", "utf8").replace(/\$(style|script|hash)/g, (_, name) => parts[name]);
writeFileSync("dist/page.html", page);
if (process.argv.includes("--install")) {
  mkdirSync("../vaecodec/web", { recursive: true });
  copyFileSync("dist/page.html", "../vaecodec/web/page.html");
}
