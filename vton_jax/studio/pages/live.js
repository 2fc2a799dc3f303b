// Live pictures: the camera's newest frame goes to the server when the last one was answered, so that the delay never
// grows, and the answer is shown with the milliseconds from capture to display. Elements of the class studio-live begin
// as soon as they are on the page (data-job: the job's id; data-keys: what its buttons do). studioCamera() asks for the
// camera beforehand; it gives "" or what is wrong.
"use strict";
(() => {
  const SIDE = 640, KEPT = 50; // pixels of frames that are sent, delays that figures are told from
  let stream = null, running = null;

  function element(tag, values, ...inner) {
    const made = Object.assign(document.createElement(tag), values);
    made.append(...inner);
    return made;
  }

  window.studioCamera = async () => {
    if (!navigator.mediaDevices) return "This page may not use a camera: open it on this machine, or over HTTPS.";
    try {
      stream ??= await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: SIDE } }, audio: false });
      return "";
    } catch (error) {
      return `There is no camera for this page (${error.name}); plug one in, or allow it.`;
    }
  };

  function close() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
  }

  // The camera's newest frame, {time, data}: a frame that was given is not given again. Times are the browser's own of
  // capture, where it says them.
  function framesOf(video) {
    const canvas = element("canvas", {}), pen = canvas.getContext("2d");
    let newest = null, wanted = null;
    const seen = (now, about) => {
      newest = about?.captureTime ?? now;
      wanted?.();
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
    return async () => {
      if (newest === null) await new Promise((resolve) => { wanted = resolve; });
      const time = newest;
      newest = wanted = null;
      const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight].map((side) => Math.round(side * scale));
      pen.drawImage(video, 0, 0, canvas.width, canvas.height);
      const file = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
      return { time, data: await file.arrayBuffer() };
    };
  }

  function median(values) {
    return [...values].sort((one, other) => one - other)[values.length >> 1];
  }

  async function begin(box) {
    const former = running;
    running = null; // whose end is not this one's
    former?.close();
    const video = element("video", { muted: true, playsInline: true, srcObject: stream });
    const canvas = element("canvas", { width: SIDE, height: SIDE * 0.75 }), pen = canvas.getContext("2d");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "What becomes of the camera's picture");
    const status = element("p", { textContent: "Waiting." }), figures = element("p", {});
    status.setAttribute("role", "status");
    box.replaceChildren(video, status);
    await video.play();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = running = new WebSocket(`${scheme}://${location.host}/api/live/${box.dataset.job}`);
    socket.binaryType = "arraybuffer";
    const press = (key) => () => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ key }));
    const buttons = JSON.parse(box.dataset.keys).map(([key, textContent]) =>
      element("button", { type: "button", textContent, onclick: press(key) }));
    const stop = element("button", { type: "button", textContent: "Stop", onclick: () => socket.close() });
    box.prepend(element("div", { className: "studio-tools" }, ...buttons, stop));
    box.append(canvas, figures);
    const next = framesOf(video);
    let sent = null, live = false, shown = [];
    const send = async () => {
      const frame = await next();
      if (socket.readyState !== WebSocket.OPEN) return;
      sent = frame.time;
      socket.send(frame.data);
    };
    const show = async (data) => {
      const picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
      [canvas.width, canvas.height] = [picture.width, picture.height];
      pen.drawImage(picture, 0, 0);
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      if (live) shown = [...shown, { now, delay: now - sent }].slice(-KEPT);
      live = true; // the first one waited for programs
      if (shown.length < 2) return;
      const seconds = (now - shown[0].now) / 1000, delay = median(shown.map((one) => one.delay));
      figures.textContent = `${delay.toFixed(0)} ms from capture to display, ${((shown.length - 1) / seconds).toFixed(1)} frames a second`;
      box.dataset.milliseconds = delay.toFixed(0);
    };
    let heard = "The connection ended.";
    socket.onopen = send;
    socket.onmessage = async (message) => {
      if (typeof message.data !== "string") {
        await show(message.data);
        return send();
      }
      const said = JSON.parse(message.data);
      const words = { waiting: said.place > 1 ? `Waiting: ${said.place} jobs come first` : "Waiting: you are next", running: said.stage, done: "The time is over", cancelled: "Stopped", failed: said.error };
      heard = status.textContent = [words[said.state], said.note].filter(Boolean).join("; ");
      if (!["waiting", "running"].includes(said.state)) status.dataset.ended = said.state;
    };
    socket.onclose = () => {
      if (running === socket) close();
      status.textContent = status.dataset.ended ? heard : "Stopped.";
      stop.disabled = true;
    };
  }

  new MutationObserver(() => {
    for (const box of document.querySelectorAll(".studio-live[data-job]:not([data-begun])")) {
      box.dataset.begun = "yes";
      begin(box).catch((error) => { box.textContent = `The camera cannot be shown (${error.message}).`; });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
