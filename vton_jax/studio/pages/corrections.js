// Corrections of what was read: the picture under a canvas that holds the garment's mask, and a box that says where in
// the picture it is. Elements of the class studio-editor become one as soon as they are on the page;
// studioCorrections(name) gives what was painted and drawn in those of a panel, as JSON: masks are data URLs.
"use strict";
(() => {
  const COLOUR = "rgb(255, 60, 40)";

  function element(tag, values, ...inner) {
    const made = Object.assign(document.createElement(tag), values);
    made.append(...inner);
    return made;
  }

  async function load(path) {
    const picture = new Image();
    picture.src = path;
    await picture.decode();
    return picture;
  }

  // The field of a box, in parts of the picture, and its frame on the picture; give(box) draws a new one.
  function boxOf(editor, about) {
    const frame = element("div", { className: "studio-box", hidden: true });
    const field = element("input", { type: "text", placeholder: "0,0,1,1", size: 18, value: editor.dataset.box });
    field.setAttribute("aria-label", `Box of the ${about}: left, top, right, bottom, in parts of the picture`);
    const show = () => {
      const parts = field.value.split(",").map(Number);
      frame.hidden = parts.length !== 4 || !parts.every(Number.isFinite) || !field.value.trim();
      const [left, top, right, bottom] = parts.map((part) => 100 * part);
      Object.assign(frame.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
    };
    field.oninput = show;
    show();
    return { frame, field, give: (box) => { field.value = box.map((part) => +part.toFixed(3)).join(","); show(); } };
  }

  // A brush on a canvas: draws from one place to another.
  function brushOf(editor, canvas, layer) {
    const pen = canvas.getContext("2d");
    const reset = () => {
      pen.globalCompositeOperation = "source-over";
      pen.clearRect(0, 0, canvas.width, canvas.height);
      if (!layer) return;
      pen.drawImage(layer, 0, 0);
      pen.globalCompositeOperation = "source-in"; // the mask in full, which the page shows half transparent
      pen.fillStyle = COLOUR;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      delete editor.dataset.painted;
    };
    const draw = (from, to, width, erase) => {
      pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
      Object.assign(pen, { lineWidth: width, lineCap: "round", strokeStyle: COLOUR });
      pen.beginPath();
      pen.moveTo(...from);
      pen.lineTo(...to);
      pen.stroke();
      editor.dataset.painted = "yes";
    };
    reset();
    return { reset, draw };
  }

  async function begin(editor) {
    const about = editor.dataset.of.replace("_", " ");
    const [picture, layer] = await Promise.all([editor.dataset.picture, editor.dataset.layer].map((path) => path && load(path)));
    const canvas = element("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", layer ? `The mask of the ${about}, to be painted with a pointer` : `The ${about}, where a box can be drawn`);
    const box = boxOf(editor, about), brush = brushOf(editor, canvas, layer);
    const whole = element("button", { type: "button", textContent: "No box", onclick: () => box.give([]) });
    const size = element("input", { type: "range", min: 2, max: 80, value: 24 });
    const erase = element("input", { type: "checkbox" }), drawsBox = element("input", { type: "checkbox", checked: !layer });
    const again = element("button", { type: "button", textContent: "As it was read", onclick: brush.reset });
    const painting = layer ? [element("label", {}, "Brush ", size), element("label", {}, erase, " Erase"), again,
      element("label", {}, drawsBox, " Draw the box")] : [];
    picture.alt = `The picture of the ${about}`;
    editor.replaceChildren(
      element("p", {}, `The ${about}`),
      element("div", { className: "studio-tools" }, ...painting, element("label", {}, "Box ", box.field), whole),
      element("div", { className: "studio-canvas" }, picture, box.frame, canvas));
    let from = null;
    const at = (event) => {
      const place = canvas.getBoundingClientRect();
      return [(event.clientX - place.left) / place.width, (event.clientY - place.top) / place.height].map((part) => Math.min(1, Math.max(0, part)));
    };
    const draw = (event) => {
      const to = at(event);
      from ??= to;
      if (drawsBox.checked) {
        const sides = [0, 1].map((axis) => [from[axis], to[axis]].sort((one, other) => one - other));
        if (sides.every(([low, high]) => high > low)) box.give([sides[0][0], sides[1][0], sides[0][1], sides[1][1]]);
        return;
      }
      const pixels = (place) => [place[0] * canvas.width, place[1] * canvas.height];
      brush.draw(pixels(from), pixels(to), size.value * canvas.width / canvas.clientWidth, erase.checked);
      from = to;
    };
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); from = null; draw(event); };
    canvas.onpointermove = (event) => { if (event.buttons) draw(event); };
  }

  window.studioCorrections = (name) => {
    const found = { masks: {}, boxes: {} };
    for (const editor of document.querySelectorAll(`.studio-editor[data-name="${name}"]`)) {
      const of = editor.dataset.of;
      found.boxes[of] = editor.querySelector("input[type=text]")?.value ?? editor.dataset.box;
      if (editor.dataset.painted) found.masks[of] = editor.querySelector("canvas").toDataURL("image/png");
    }
    return JSON.stringify(found);
  };
  new MutationObserver(() => {
    for (const editor of document.querySelectorAll(".studio-editor:not([data-begun])")) {
      editor.dataset.begun = "yes";
      begin(editor).catch(() => { editor.textContent = "The picture cannot be shown."; });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
