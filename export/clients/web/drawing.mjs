// The pad on which a digit is drawn by hand, with mouse, pen or finger.

const LINE_WIDTH = 0.09; // of the pad's side; only for the eye, the scan makes its strokes even itself

/** Keeps the strokes drawn on a canvas and tells `changed` about them after each. */
export class Pad {
  #canvas;
  #changed;
  #strokes = [];
  #pointer = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(strokes: {x: number, y: number}[][]) => void} changed gets all strokes, in parts of the side
   */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, (event) => this.#end(event));
  }

  /** Takes the last stroke away. */
  undo() {
    this.#strokes.pop();
    this.#paint();
    this.#changed(this.#strokes);
  }

  /** Takes all strokes away. */
  clear() {
    this.#strokes = [];
    this.#paint();
    this.#changed(this.#strokes);
  }

  #add(event) {
    const box = this.#canvas.getBoundingClientRect();
    const point = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    this.#strokes.at(-1).push(point);
  }

  #begin(event) {
    if (event.button !== 0 || this.#pointer !== null) return;
    event.preventDefault();
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#strokes.push([]);
    this.#add(event);
    this.#paint();
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    for (const part of event.getCoalescedEvents?.() ?? []) this.#add(part);
    this.#add(event);
    this.#paint();
  }

  #end(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#changed(this.#strokes);
  }

  #paint() {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    Object.assign(context, { strokeStyle: "#fff", lineWidth: LINE_WIDTH * width, lineCap: "round", lineJoin: "round" });
    for (const stroke of this.#strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x * width, stroke[0].y * height);
      for (const { x, y } of stroke) context.lineTo(x * width, y * height);
      context.stroke();
    }
  }
}
