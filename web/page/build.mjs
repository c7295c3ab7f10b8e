/** Builds dist/page.html, one file with all scripts and both kernels, and dist/img.js, which shows .vaec files that
 * pages have in <img>. `--install` also copies what `vaecodec view` needs to vaecodec/web/. */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

async function bundled(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry], write: false, bundle: true, minify: true, format: "iife", target: "es2022", charset: "utf8",
    define: { "import.meta.url": "undefined" }, legalComments: "none",
  });
  return outputFiles[0].text.trim();
}

const { code } = await (await import("esbuild")).transform(readFileSync("page/page.css", "utf8"), { loader: "css", minify: true });
// In HTML a script ends at the first of these, whatever it stands in.
const script = (await bundled("page/main.ts")).replaceAll("</script", "<\\/script");
const hash = `sha256-${createHash("sha256").update(script).digest("base64")}`;
const parts = { style: code.trim(), script, hash };
const page = readFileSync("page/page.html", "utf8").replace(/\$(style|script|hash)/g, (_, name) => parts[name]);
writeFileSync("dist/page.html", page);
writeFileSync("dist/img.js", await bundled("page/img.ts"));
if (process.argv.includes("--install")) {
  mkdirSync("../vaecodec/web", { recursive: true });
  copyFileSync("dist/page.html", "../vaecodec/web/page.html");
}
