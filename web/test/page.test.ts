/** The page that `vaecodec view` fills is the one that these sources build. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./files.js";

test("vaecodec/web has what the lock file and these sources build: npm run page", () => {
  const built = readFileSync("dist/page.html"),
    installed = readFileSync(join(ROOT, "vaecodec/web/page.html"));
  assert.ok(built.equals(installed), `${built.length} and ${installed.length} bytes`);
  assert.ok(built.length < 100_000, `${built.length} bytes`);
});

test("the page has one script, which its policy names, and asks for nothing", () => {
  const page = readFileSync("dist/page.html", "utf8");
  const scripts = [...page.matchAll(/<script>([^]*?)<\/script>/g)];
  assert.equal(scripts.length, 1);
  assert.match(page, /script-src 'sha256-[A-Za-z0-9+/]+={0,2}' 'wasm-unsafe-eval'/);
  assert.doesNotMatch(page, /<link(?! rel="icon" href="data:)|@import|<iframe|src="http/);
  assert.equal(page.split("<!--contents-->").length, 2);
});
