// A brush for the garment's mask: the picture under a canvas that holds the mask. Elements of the class studio-brush
// become one as soon as they are on the page; studioMask(name) gives what was painted as a data URL, "" for nothing.
"use strict";
(() => {
  const COLOUR = "rgb(255, 60, 40)";

  function element(tag, values, ...inner) {
    const made = Object.assign(document.createElement(tag), values);
    made.append(...inner);
    return made;
  }

  async function begin(box) {
    const load = async (path) => { const picture = new Image(); picture.src = path; await picture.decode(); return picture; };
    const [picture, layer] = await Promise.all([load(box.dataset.picture), load(box.dataset.layer)]);
    const canvas = element("canvas", { width: layer.naturalWidth, height: layer.naturalHeight });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "The garment's mask, to be painted with a pointer");
    const pen = canvas.getContext("2d");
    const reset = () => {
      pen.globalCompositeOperation = "source-over";
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(layer, 0, 0);
      pen.globalCompositeOperation = "source-in"; // the mask in full, which the page shows half transparent
      pen.fillStyle = COLOUR;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      delete box.dataset.painted;
    };
    reset();
    const size = element("input", { type: "range", min: 2, max: 80, value: 24 });
    const erase = element("input", { type: "checkbox" });
    const again = element("button", { type: "button", textContent: "As it was read", onclick: reset });
    const tools = element("div", { className: "studio-tools" },
      element("label", {}, "Brush ", size), element("label", {}, erase, " Erase"), again);
    picture.alt = "The garment's picture";
    box.replaceChildren(tools, element("div", { className: "studio-canvas" }, picture, canvas));
    let last = null;
    const at = (event) => {
      const place = canvas.getBoundingClientRect(), scale = canvas.width / place.width;
      return [(event.clientX - place.left) * scale, (event.clientY - place.top) * scale, scale];
    };
    const draw = (event) => {
      const [x, y, scale] = at(event);
      pen.globalCompositeOperation = erase.checked ? "destination-out" : "source-over";
      Object.assign(pen, { lineWidth: size.value * scale, lineCap: "round", strokeStyle: COLOUR });
      pen.beginPath();
      pen.moveTo(...(last ?? [x, y]));
      pen.lineTo(x, y);
      pen.stroke();
      last = [x, y];
      box.dataset.painted = "yes";
    };
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); last = null; draw(event); };
    canvas.onpointermove = (event) => { if (event.buttons) draw(event); };
  }

  window.studioMask = (name) => {
    const box = document.querySelector(`.studio-brush[data-name="${name}"][data-painted]`);
    return box ? box.querySelector("canvas").toDataURL("image/png") : "";
  };
  new MutationObserver(() => {
    for (const box of document.querySelectorAll(".studio-brush:not([data-begun])")) {
      box.dataset.begun = "yes";
      begin(box).catch(() => { box.textContent = "The mask cannot be shown."; });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
  document.documentElement.lang = "en"; // which Gradio leaves out
})();
