// The participant's page: consent, trials whose pictures are shown for an exact time, resume, the end.
// A picture is decoded before it is due, drawn in one animation frame and masked in another; the times of both are kept.
"use strict";

const $ = (id) => document.getElementById(id);
const KEPT = "study session", OPEN = "study answer";
const MASKED = 400; // ms of noise before an answer may be given
let study, session, refresh = 1000 / 60, showing = false, lost = 0, index = null;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise((done) => requestAnimationFrame(done));
const id = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
const say = (text) => { $("said").textContent = text; };

async function ask(path, body, tries = Infinity) { // waits for a server that is away
  for (let turn = 0; ; turn++) {
    try {
      const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      const answer = await fetch(path, { cache: "no-store", ...options });
      if (answer.ok) return await answer.json();
      if (answer.status < 500) throw Object.assign(new Error((await answer.json()).detail), { status: answer.status });
    } catch (error) {
      if (error.status) throw error;
    }
    if (turn + 1 >= tries) return null;
    say("Waiting for the server…");
    await sleep(Math.min(8000, 500 * 2 ** turn));
  }
}

function buttons(names) { // resolves with the one that is pressed; digits press them as well
  return new Promise((done) => {
    const box = $("buttons");
    const finish = (name) => { removeEventListener("keydown", keys); box.replaceChildren(); done([name, performance.now()]); };
    const keys = (event) => {
      const name = names[Number(event.key) - 1];
      if (name && !event.repeat && event.target.tagName !== "INPUT") { event.preventDefault(); finish(name); }
    };
    box.replaceChildren(...names.map((name, number) => {
      const button = document.createElement("button");
      button.append(name[0].toUpperCase() + name.slice(1) + " ");
      if (names.length > 1) button.append(Object.assign(document.createElement("kbd"), { textContent: number + 1, ariaHidden: "true" }));
      button.onclick = () => finish(name);
      return button;
    }));
    if (names.length === 1) box.firstChild.focus();
    addEventListener("keydown", keys);
  });
}

async function measureRefresh() { // the median time between frames
  const times = [];
  for (let n = 0; n < 40; n++) times.push(await frame());
  const gaps = times.slice(1).map((time, n) => time - times[n]).sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}

function event(kind, detail = "") {
  if (!session) return;
  const told = { client: id(), trial: index, kind, detail: String(detail), elapsed_ms: performance.now() };
  ask(`/api/sessions/${session.token}/events`, told, 5).catch(() => {});
}

for (const [target, name] of [[window, "blur"], [window, "focus"], [document, "visibilitychange"]]) {
  target.addEventListener(name, () => {
    if (showing && (name === "blur" || document.hidden)) lost++;
    event(name, document.visibilityState);
  });
}

function canvases(count) {
  const [height, width] = study.size;
  $("stage").replaceChildren(...Array.from({ length: count }, () => {
    const box = Object.assign(document.createElement("div"), { className: "frame" });
    box.append(Object.assign(document.createElement("canvas"), { width, height }));
    return box;
  }));
  return [...$("stage").querySelectorAll("canvas")].map((canvas) => canvas.getContext("2d"));
}

function noise() { // in blocks of 8 pixels
  const [height, width] = study.size, small = new OffscreenCanvas(Math.ceil(width / 8), Math.ceil(height / 8));
  const pen = small.getContext("2d"), pixels = pen.createImageData(small.width, small.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    for (let c = 0; c < 3; c++) pixels.data[at + c] = Math.random() * 256;
    pixels.data[at + 3] = 255;
  }
  pen.putImageData(pixels, 0, 0);
  return small;
}

async function load(number) { // a trial with its pictures decoded
  const trial = await ask(`/api/sessions/${session.token}/trials/${number}`);
  trial.decoded = await Promise.all(trial.pictures.map(async (path) => {
    for (let turn = 0; ; turn++) {
      try {
        const answer = await fetch(path, { cache: "no-store" });
        if (answer.ok) return await createImageBitmap(await answer.blob());
      } catch { /* the server is away */ }
      await sleep(Math.min(8000, 500 * 2 ** turn));
    }
  }));
  return trial;
}

async function show(trial) { // exactly asked_ms, to the frame; then the mask
  const pens = canvases(trial.decoded.length), [height, width] = study.size, mask = noise();
  const fill = (picture) => pens.forEach((pen, side) => pen.drawImage(Array.isArray(picture) ? picture[side] : picture, 0, 0, width, height));
  pens.forEach((pen) => { pen.fillStyle = "#808080"; pen.fillRect(0, 0, width, height); pen.imageSmoothingEnabled = true; });
  $("stage").classList.remove("hidden");
  await sleep(500);
  lost = 0;
  await frame();
  const onset = await frame();
  showing = true;
  fill(trial.decoded);
  let offset = onset, frames = 0;
  do { offset = await frame(); frames++; } while (offset - onset < trial.asked_ms - refresh / 2);
  pens.forEach((pen) => { pen.imageSmoothingEnabled = false; });
  fill(mask);
  showing = false;
  const masked = performance.now();
  await sleep(MASKED);
  return { onset_ms: onset, offset_ms: offset, shown_ms: offset - onset, frames, refresh_ms: refresh, focus_lost: lost, masked };
}

async function send(open) { // { token, answer } -> the session's state; the server keeps the first of two answers
  localStorage.setItem(OPEN, JSON.stringify(open)); // not lost if the page is closed now
  const state = await ask(`/api/sessions/${open.token}/answers`, open.answer);
  localStorage.removeItem(OPEN);
  return state;
}

async function run() {
  let next = null;
  $("progress").classList.remove("hidden");
  while (session.done < session.total) {
    index = session.done;
    Object.assign($("progress"), { max: session.total, value: session.done });
    const trial = await (next ?? load(index));
    $("text").textContent = !trial.practice ? "" : study.question === "real" ? "Practice: you are told afterwards what was right." : "Practice: this is not counted yet.";
    say(session.token && index === 0 ? "Look at the middle of the grey field. The picture is shown for a moment." : "");
    if (index === 0 || !next) { await buttons(["start"]); refresh = await measureRefresh(); event("refresh", refresh.toFixed(2)); }
    say("");
    next = index + 1 < session.total ? load(index + 1) : null;
    const { masked, ...times } = await show(trial);
    say(study.asks);
    const [response, pressed] = await buttons(study.answers);
    const answer = { client: id(), trial: index, response, rt: pressed - masked, elapsed_ms: pressed, ...times };
    session = await send({ token: session.token, answer });
    const feedback = session.feedback;
    $("stage").classList.add("hidden");
    if (feedback) { say(feedback === response ? `Right: it was ${feedback}.` : `No: it was ${feedback}.`); await buttons(["go on"]); }
  }
  end();
}

function end() {
  $("progress").value = $("progress").max = 1;
  $("stage").classList.add("hidden");
  $("text").textContent = "That was all. Thank you! Your completion code is";
  $("said").replaceChildren(Object.assign(document.createElement("code"), { textContent: session.code }));
}

async function begin(external) { // with consent; who has begun on another browser gives their code, or comes with the same address
  const about = { agent: navigator.userAgent.slice(0, 200), width: screen.width, height: screen.height, ratio: devicePixelRatio };
  $("text").textContent = study.consent;
  $("before").classList.toggle("hidden", Boolean(external));
  while (!session) {
    await buttons(["I agree"]);
    say("");
    const participant = $("code").value.trim().toUpperCase() || null;
    try {
      session = await ask("/api/sessions", { consent: true, external, participant, about });
    } catch (error) { say(error.message); }
  }
  $("before").classList.add("hidden");
  localStorage.setItem(KEPT, session.token);
}

async function main() {
  study = await ask("/api/study");
  document.title = $("title").textContent = study.title;
  const query = new URLSearchParams(location.search), external = query.get("PROLIFIC_PID") || query.get("workerId");
  const open = JSON.parse(localStorage.getItem(OPEN) || "null"), kept = localStorage.getItem(KEPT);
  try {
    if (open) await send(open); // whoever gave it
  } catch { localStorage.removeItem(OPEN); }
  try {
    const whose = external ? `?external=${encodeURIComponent(external)}` : ""; // somebody else may have been here before
    if (kept) session = await ask(`/api/sessions/${kept}${whose}`);
  } catch { session = null; }
  if (!session) await begin(external);
  $("text").textContent = "";
  $("who").replaceChildren("Your participant code, with which you can go on in another browser: ", Object.assign(document.createElement("b"), { textContent: session.participant }));
  if (session.done) event("resumed", session.done);
  await run();
}

main().catch((error) => say(`The study cannot go on: ${error.message}`));
