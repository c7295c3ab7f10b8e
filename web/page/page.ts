/** What the page does: files come in, one or two are shown, and can be saved. */
import { type Options, VaecodecError } from "../src/index.js";
import * as embedded from "./embedded.js";
import { Coded, type Item, Plain, type Shown, itemOf } from "./item.js";
import { Stage } from "./stage.js";

/** No .vaec file is larger, nor is a picture that fits in memory. */
const MAX_BYTES = 2 ** 29,
  WAIT = 250;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

class Page {
  private readonly items: Item[] = [];
  private left: Item | undefined;
  private right: Item | undefined;
  private encoded: Coded | undefined;
  private shown = new Map<Item, Shown>();
  private work = new AbortController();
  private later: ReturnType<typeof setTimeout> | undefined;
  private readonly lists = [element<HTMLSelectElement>("left"), element<HTMLSelectElement>("right")] as const;
  private readonly stage: Stage;

  constructor(private readonly options: Promise<Options>) {
    this.stage = new Stage(
      element("stage"),
      element("sheet"),
      element("edge"),
      [element<HTMLImageElement>("first"), element<HTMLImageElement>("second")],
      (zoom, fitted, share) => {
        element("fit").ariaPressed = String(fitted);
        element("full").ariaPressed = String(!fitted && zoom === 1);
        element<HTMLInputElement>("split").value = String(Math.round(1000 * share));
      },
    );
    this.listen();
  }

  private listen(): void {
    const files = element<HTMLInputElement>("files"), on = (id: string, name: string, work: () => void) => element(id).addEventListener(name, work);
    for (const id of ["open", "choose"]) on(id, "click", () => files.click());
    on("files", "change", () => this.add([...files.files!]).then(() => (files.value = "")));
    on("fit", "click", () => this.stage.fit());
    on("full", "click", () => this.stage.at(1));
    on("in", "click", () => this.stage.by(1.5));
    on("out", "click", () => this.stage.by(1 / 1.5));
    on("split", "input", () => this.stage.split(Number(element<HTMLInputElement>("split").value) / 1000));
    on("quality", "input", () => this.encodeSoon());
    on("png", "click", () => this.savePng());
    on("vaec", "click", () => this.encoded && save(new Blob([this.encoded.bytes]), this.encoded.name));
    this.lists.forEach((list) => list.addEventListener("change", () => this.choose()));
    addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("over");
    });
    addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("over"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("over");
      void this.add([...event.dataTransfer!.files]);
    });
    addEventListener("paste", (event) => void this.add([...(event.clipboardData?.files ?? [])]));
  }

  /** Take files in; what is none of ours gets a line. */
  async add(files: readonly (File | embedded.Named)[]): Promise<void> {
    const found: Item[] = [];
    for (const file of files) {
      try {
        if (file instanceof File && file.size > MAX_BYTES) throw new VaecodecError("limit", "the file is too large for a page");
        const bytes = "bytes" in file && file.bytes instanceof Uint8Array ? file.bytes : new Uint8Array(await (file as File).arrayBuffer());
        found.push(await itemOf({ name: file.name, bytes }));
      } catch (error) {
        this.complain(file.name, error);
      }
    }
    if (!found.length) return;
    this.items.push(...found);
    const [first, second] = found;
    const other = second ?? (this.left && fits(this.left, first!) && !(first instanceof Plain) ? first : undefined);
    const left = other === first ? this.left! : first!;
    this.look(left, other && fits(left, other) ? other : undefined);
  }

  /** Show these. */
  private look(left: Item, right: Item | undefined): void {
    if (left !== this.left) this.encoded = undefined;
    for (const item of [this.left, this.right]) if (item && item !== left && item !== right) this.drop(item);
    [this.left, this.right] = [left, right];
    document.body.classList.remove("empty");
    this.fillLists();
    this.render();
    if (left instanceof Plain && !right) this.encodeSoon(0);
    else void this.decode();
  }

  private drop(item: Item): void {
    item.forget();
    this.shown.delete(item);
  }

  private choose(): void {
    const [left, right] = this.lists.map((list) => this.items[Number(list.value)]);
    this.look(left!, right && right !== left && fits(left!, right) ? right : undefined);
  }

  private fillLists(): void {
    const { left, right, items } = this;
    const fill = (list: HTMLSelectElement, chosen: Item | undefined, none: string, allowed: (item: Item) => boolean) => {
      const entries = items.flatMap((item, i) => (allowed(item) ? [new Option(item.name, String(i), false, item === chosen)] : []));
      list.replaceChildren(...(none ? [new Option(none, "", false, !chosen)] : []), ...entries);
    };
    fill(this.lists[0], left, "", () => true);
    fill(this.lists[1], right, left instanceof Plain ? "encoded here" : "none", (item) => item !== left && fits(item, left!));
    element("against").hidden = items.length < 2;
  }

  /** Decode what is shown. */
  private async decode(): Promise<void> {
    this.work.abort();
    const { signal } = (this.work = new AbortController());
    for (const item of this.pair) {
      if (this.shown.get(item)?.soon === false) continue;
      await this.busy("Decoding", item.name, async (progress) => {
        const options = { ...(await this.options), signal, progress };
        await item.show((picture) => signal.aborted || (this.shown.set(item, picture), this.render()), options);
      });
      if (signal.aborted) return;
    }
  }

  private encodeSoon(wait = WAIT): void {
    element("value").textContent = element<HTMLInputElement>("quality").value;
    clearTimeout(this.later);
    this.later = setTimeout(() => void this.encode(), wait);
  }

  private async encode(): Promise<void> {
    const source = this.left;
    if (!(source instanceof Plain) || this.right) return;
    this.work.abort();
    const { signal } = (this.work = new AbortController());
    await source.show((picture) => (this.shown.set(source, picture), this.render()));
    await this.busy("Encoding", source.name, async (progress) => {
      const quality = Number(element<HTMLInputElement>("quality").value);
      const coded = await source.coded(quality, { ...(await this.options), signal, progress });
      await coded.show((picture) => this.shown.set(coded, picture), { ...(await this.options), signal });
      if (signal.aborted) return this.drop(coded);
      if (this.encoded) this.drop(this.encoded);
      this.encoded = coded;
      this.render();
    });
  }

  /** Do it with a bar; what goes wrong gets a line, unless nobody wants the result any more. */
  private async busy(what: string, name: string, work: (progress: (share: number) => void) => Promise<void>): Promise<void> {
    const bar = element<HTMLProgressElement>("progress"), box = element("busy"), { signal } = this.work;
    bar.removeAttribute("value");
    box.hidden = false;
    element("status").textContent = `${what} ${name}…`;
    try {
      await work((share) => signal.aborted || (bar.value = share));
      if (!signal.aborted) element("status").textContent = "";
    } catch (error) {
      if (signal.aborted) return;
      element("status").textContent = "";
      this.complain(name, error);
    } finally {
      if (signal === this.work.signal) box.hidden = true;
    }
  }

  private get pair(): Item[] {
    return [this.left, this.right ?? this.encoded].filter((item) => item !== undefined);
  }

  private render(): void {
    const { pair } = this, [left, right] = pair, layers = pair.flatMap((item) => {
      const picture = this.shown.get(item), facts = item.facts();
      return picture ? [{ ...picture, alt: `${item.name}: ${facts.map((fact) => fact.join(" ")).join(", ")}` }] : [];
    });
    const encoding = left instanceof Plain && !this.right;
    element("encoding").hidden = !encoding;
    element("vaec").hidden = !encoding;
    element<HTMLButtonElement>("vaec").disabled = !this.encoded;
    element("between").hidden = layers.length < 2;
    const last = right ?? left!;
    element<HTMLButtonElement>("png").disabled = this.shown.get(last)?.soon !== false;
    element("png").title = `Save ${pngName(last)}`;
    this.stage.show(left!.width, left!.height, layers, pair.some((item) => item.clear));
    element("facts").replaceChildren(...pair.flatMap(described));
    document.title = `${pair.map(({ name }) => name).join(" and ")} - vaecodec`;
  }

  private async savePng(): Promise<void> {
    const item = this.pair.at(-1)!;
    await this.busy("Saving", pngName(item), async () => save(await item.png(), pngName(item)));
  }

  complain(name: string, error: unknown): void {
    const message = error instanceof VaecodecError ? error.message : `something went wrong: ${(error as Error).message}`;
    const line = document.createElement("p"), text = document.createElement("span"), close = document.createElement("button");
    text.textContent = `${name}: ${message.split("\n")[0]}`;
    close.textContent = "Close";
    close.addEventListener("click", () => line.remove());
    line.append(text, close);
    element("problems").append(line);
  }
}

function fits(a: Item, b: Item): boolean {
  return a.width === b.width && a.height === b.height;
}

function pngName({ name }: Item): string {
  return `${name.replace(/\.(vaec|png|jpe?g|webp)$/i, "")}.png`;
}

function described(item: Item): HTMLElement[] {
  const head = document.createElement("h2"), list = document.createElement("dl"), note = document.createElement("p");
  head.textContent = item.name;
  for (const [name, value] of item.facts()) {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, description.textContent] = [name, value];
    list.append(term, description);
  }
  note.className = "note";
  note.textContent = item.note();
  return note.textContent ? [head, list, note] : [head, list];
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a"), url = URL.createObjectURL(blob);
  [link.href, link.download] = [url, name];
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Files that `?src=` names, of this site alone. */
async function fetched(src: string): Promise<embedded.Named> {
  const url = new URL(src, location.href), name = decodeURIComponent(url.pathname.split("/").pop() || src);
  if (url.protocol === "file:") throw new VaecodecError("unsupported", `a page on a disk cannot open ${name} by itself: drop the file here`);
  if (url.origin !== location.origin) throw new VaecodecError("unsupported", `${url.origin} is another site: this page opens files of its own`);
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin" });
  } catch {
    throw new VaecodecError("unsupported", "it cannot be fetched");
  }
  if (!response.ok) throw new VaecodecError("unsupported", `it is not there (HTTP ${response.status})`);
  if (Number(response.headers.get("content-length")) > MAX_BYTES) throw new VaecodecError("limit", "the file is too large for a page");
  return { name, bytes: new Uint8Array(await response.arrayBuffer()) };
}

/** Make the page work; returns the options by which it decodes. */
export function start(createWorker: () => Worker): Promise<Options> {
  const files = embedded.files(), given = embedded.weights();
  const folder = location.protocol === "file:" ? undefined : new URL(".", location.href);
  const options = given.then((map): Options => ({ weights: map.size || !folder ? map : folder, createWorker }));
  const page = new Page(options);
  const sources = new URLSearchParams(location.search).getAll("src");
  void (async () => {
    const fetching = sources.map((src) => fetched(src).catch((error) => page.complain(src, error)));
    const found = (await Promise.all(fetching)).filter((file) => file !== undefined);
    if (files.length + found.length) await page.add([...files, ...found]);
  })();
  return options;
}
