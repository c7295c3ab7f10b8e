/** The page, and in its workers the decoder: one script, since a page that is opened from a disk can load no second. */
import * as api from "../src/index.js";
import { encode } from "../src/encode.js";
import { serve } from "../src/serve.js";
import { start } from "./page.js";

if (typeof document === "undefined") serve();
else {
  const source = URL.createObjectURL(new Blob([document.currentScript!.textContent!], { type: "text/javascript" }));
  const createWorker = () => new Worker(source);
  // For the console, and for tests.
  Object.assign(globalThis, { vaecodec: { ...api, encode, options: start(createWorker) } });
}
