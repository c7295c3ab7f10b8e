/** The stage: one picture, or two on top of each other, that can be moved and zoomed. */

const STEP = 60,
  MOST = 32;

export interface Layer {
  url: string;
  alt: string;
  /** Only a preview, until the picture is there. */
  soon: boolean;
}

export class Stage {
  private width = 1;
  private height = 1;
  private zoom = 1;
  private x = 0;
  private y = 0;
  private fitted = true;
  private share = 0.5;
  private two = false;
  private readonly pointers = new Map<number, { x: number; y: number }>();

  constructor(
    private readonly stage: HTMLElement,
    private readonly sheet: HTMLElement,
    private readonly edge: HTMLElement,
    private readonly images: readonly [HTMLImageElement, HTMLImageElement],
    private readonly changed: (zoom: number, fitted: boolean, share: number) => void,
  ) {
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("dblclick", () => (this.fitted ? this.at(1) : this.fit()));
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"] as const) stage.addEventListener(name, (event) => this.up(event));
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(stage);
  }

  /** Show layers of a picture of this size; where it was, if the size is the same. */
  show(width: number, height: number, layers: readonly Layer[], clear: boolean): void {
    const same = width === this.width && height === this.height;
    [this.width, this.height, this.two] = [width, height, layers.length > 1];
    this.images.forEach((image, i) => {
      const layer = layers[i];
      image.hidden = !layer;
      if (!layer) return;
      if (image.src !== layer.url) image.src = layer.url;
      image.alt = layer.alt;
      image.classList.toggle("soon", layer.soon);
    });
    this.edge.hidden = !this.two;
    this.sheet.classList.toggle("clear", clear);
    if (same && !this.fitted) this.place();
    else this.fit();
  }

  fit(): void {
    const { clientWidth, clientHeight } = this.stage;
    this.fitted = true;
    this.zoom = Math.min(clientWidth / this.width, clientHeight / this.height, 1) || 1;
    [this.x, this.y] = [(clientWidth - this.width * this.zoom) / 2, (clientHeight - this.height * this.zoom) / 2];
    this.place();
  }

  /** Zoom to this around a point of the stage, its centre unless said. */
  at(zoom: number, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2): void {
    const next = Math.min(Math.max(zoom, 1 / MOST), MOST), factor = next / this.zoom;
    [this.zoom, this.x, this.y, this.fitted] = [next, x - (x - this.x) * factor, y - (y - this.y) * factor, false];
    this.place();
  }

  by(factor: number): void {
    this.at(this.zoom * factor);
  }

  /** How much of the stage shows the left picture: 0 to 1. */
  split(share: number): void {
    this.share = Math.min(Math.max(share, 0), 1);
    this.place();
  }

  private place(): void {
    const { clientWidth, clientHeight } = this.stage, { style, classList } = this.sheet;
    const [width, height] = [this.width * this.zoom, this.height * this.zoom];
    // Some of the picture stays in sight.
    this.x = Math.min(Math.max(this.x, Math.min(40 - width, 0)), clientWidth - Math.min(40, width));
    this.y = Math.min(Math.max(this.y, Math.min(40 - height, 0)), clientHeight - Math.min(40, height));
    // On whole pixels of the screen, wherever the stage begins: between them a picture is blurred.
    const { left, top } = this.stage.getBoundingClientRect(), snapped = (at: number) => Math.round(at * devicePixelRatio) / devicePixelRatio;
    const x = snapped(left + this.x) - left, y = snapped(top + this.y) - top;
    Object.assign(style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
    classList.toggle("sharp", this.zoom >= 2);
    const border = this.share * clientWidth;
    this.edge.style.left = `${border}px`;
    const inside = Math.min(Math.max(border - x, 0), width);
    this.images[0].style.clipPath = this.two ? `inset(0 ${width - inside}px 0 0)` : "";
    this.images[1].style.clipPath = `inset(0 0 0 ${inside}px)`;
    this.changed(this.zoom, this.fitted, this.share);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const { left, top } = this.stage.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.at(this.zoom * 2 ** (-event.deltaY * lines / 300), event.clientX - left, event.clientY - top);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key];
    if (pan) {
      [this.x, this.y, this.fitted] = [this.x + pan[0]!, this.y + pan[1]!, false];
      this.place();
    } else if (event.key === "+" || event.key === "=") this.by(1.25);
    else if (event.key === "-") this.by(0.8);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.at(1);
    else return;
    event.preventDefault();
  }

  private down(event: PointerEvent): void {
    if (event.button) return;
    if (event.target === this.edge) this.edge.dataset.pointer = String(event.pointerId);
    else this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.stage.setPointerCapture(event.pointerId);
    this.stage.classList.add("moving");
  }

  private move(event: PointerEvent): void {
    const { left, top, width } = this.stage.getBoundingClientRect();
    if (this.edge.dataset.pointer === String(event.pointerId)) return this.split((event.clientX - left) / width);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY }, other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (now.x === before.x && now.y === before.y) return;
    this.pointers.set(event.pointerId, now);
    if (other) {
      const distance = (point: { x: number; y: number }) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      return this.at((this.zoom * distance(now)) / distance(before), (now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top);
    }
    [this.x, this.y, this.fitted] = [this.x + now.x - before.x, this.y + now.y - before.y, false];
    this.place();
  }

  private up(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    if (this.edge.dataset.pointer === String(event.pointerId)) delete this.edge.dataset.pointer;
    this.stage.classList.remove("moving");
  }
}
