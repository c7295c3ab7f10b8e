/** Shows .vaec images that a page has in <img>: `<script type="module" src="img.js"></script>`. Weights lie beside it,
 * or where `img.js?weights=/models/` says. Images that are added or changed later count, too. */
import { type Decoded, type Options, VaecodecError, decode, inspect, preview, toPng } from "./index.js";

/** Pixels from which on a preview is shown first. */
const LARGE = 2 ** 20;
const NAME = /\.vaec$/i;

start();

function start(): void {
  const weights = new URL(import.meta.url).searchParams.get("weights");
  const options: Options = weights ? { weights: new URL(weights, document.baseURI).href } : {};
  /** What an image shows, or is about to: a second look at it changes nothing. */
  const seen = new WeakMap<HTMLImageElement, string>();

  const look = (image: HTMLImageElement) => {
    const source = image.getAttribute("src") ?? "";
    if (source.startsWith("blob:") || seen.get(image) === source) return;
    seen.set(image, source);
    if (!isCoded(source)) return;
    if (image.loading !== "lazy") return void show(image, source);
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      watcher.disconnect();
      if (seen.get(image) === source) void show(image, source);
    }, { rootMargin: "300px" });
    watcher.observe(image);
  };

  const show = async (image: HTMLImageElement, source: string) => {
    const set = async (picture: Decoded, size?: { width: number; height: number }) => {
      const url = URL.createObjectURL(await blobOf(picture, size));
      if (seen.get(image) !== source) return URL.revokeObjectURL(url);
      const loaded = () => URL.revokeObjectURL(url);
      image.addEventListener("load", loaded, { once: true });
      image.src = url;
      image.dataset.vaec = source;
    };
    try {
      const bytes = await fetched(source), info = inspect(bytes);
      if (info.width * info.height > LARGE && info.kept === "latents") await set(await preview(bytes, options), info);
      await set(await decode(bytes, options));
    } catch (error) {
      if (seen.get(image) !== source) return;
      const message = error instanceof VaecodecError ? error.message : `cannot be shown: ${(error as Error).message}`;
      image.title ||= message;
      image.dispatchEvent(new CustomEvent("vaecodec-error", { bubbles: true, detail: { message, source } }));
    }
  };

  const all = (node: Node) => {
    if (node instanceof HTMLImageElement) look(node);
    else if (node instanceof Element) node.querySelectorAll("img").forEach(look);
  };
  new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      if (type === "attributes") look(target as HTMLImageElement);
      else addedNodes.forEach(all);
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["src"] });
  all(document.documentElement);
}

/** By the name; in a data URL by the start of the file (VAEC and the version). */
function isCoded(source: string): boolean {
  if (source.startsWith("data:")) return /^data:[^,]*;base64,VkFFQ/.test(source);
  try {
    return NAME.test(new URL(source, document.baseURI).pathname);
  } catch {
    return false;
  }
}

async function fetched(source: string): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(new URL(source, document.baseURI), { credentials: "same-origin" });
  } catch {
    throw new VaecodecError("unsupported", "the image cannot be fetched");
  }
  if (!response.ok) throw new VaecodecError("unsupported", `the image is not there (HTTP ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A picture for <img>: a PNG, upright whatever its EXIF says; a preview drawn at the size of the whole, so that
 * nothing on the page moves when that comes. */
async function blobOf(picture: Decoded, size?: { width: number; height: number }): Promise<Blob> {
  const { width, height, rgba, gray, hasAlpha, icc } = picture;
  const png = await toPng({ width, height, rgba, gray, hasAlpha, ...(icc ? { icc } : {}) });
  if (!size) return new Blob([png], { type: "image/png" });
  let binary = "";
  for (let i = 0; i < png.length; i += 8192) binary += String.fromCharCode(...png.subarray(i, i + 8192));
  const sides = `width="${size.width}" height="${size.height}"`;
  const inner = `<image ${sides} preserveAspectRatio="none" href="data:image/png;base64,${btoa(binary)}"/>`;
  return new Blob([`<svg xmlns="http://www.w3.org/2000/svg" ${sides}>${inner}</svg>`], { type: "image/svg+xml" });
}
