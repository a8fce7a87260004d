// Mounts one animation: `root` is the element, `data` what workshop.viz.play laid out. No libraries.
function mount(root, data) {
  const NS = "http://www.w3.org/2000/svg";
  const make = (tag, attributes = {}, text = "") => {
    const node = tag.startsWith("svg:") ? document.createElementNS(NS, tag.slice(4)) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text) node.textContent = text;
    return node;
  };
  const id = (name) => `${root.id}-${name}`;
  root.textContent = "";
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab: keys typed here are ours

  const stage = root.appendChild(make("div", { class: "stage" }));
  const code = make("ol", { class: "code", id: id("code"), "aria-label": "source of the kernel" });
  if (data.code) stage.appendChild(code);
  data.lines.forEach((line, n) => code.appendChild(make("li", { id: id(`line-${n}`) }, line || " ")));

  const svg = stage.appendChild(make("svg:svg", {
    id: id("picture"), viewBox: `0 0 ${data.width} ${data.height}`, role: "img", "aria-label": data.alt,
    width: data.width * data.scale, height: data.height * data.scale,
  }));
  for (const b of data.boxes)
    svg.appendChild(make("svg:rect", { x: b.x, y: b.y, width: b.width, height: b.height, rx: 8, class: "panel" }));
  const wires = svg.appendChild(make("svg:g", { id: id("wires") }));
  for (const t of data.labels) {
    if (t.halo) svg.appendChild(make("svg:rect", { x: t.x - 2, y: t.y - 12, width: t.text.length * 7 + 4, height: 16, class: "halo" }));
    svg.appendChild(make("svg:text", { x: t.x, y: t.y, "text-anchor": t.anchor, class: t.kind }, t.text));
  }
  const spots = [...data.threads, ...data.cells].map((spot, n) => {
    const round = n < data.threads.length;
    const group = svg.appendChild(make("svg:g", { id: id(spot.id), class: round ? "thread" : "cell" }));
    group.appendChild(make("svg:rect", {
      x: spot.x, y: spot.y, width: data.cell, height: data.cell, rx: round ? data.cell / 2 : 4,
    }));
    const text = group.appendChild(make("svg:text", {
      x: spot.x + data.cell / 2, y: spot.y + data.cell / 2 + 4.5, "text-anchor": "middle",
    }, round ? spot.text : ""));
    return { spot, group, text };
  });

  const caption = root.appendChild(make("p", { class: "caption", id: id("caption"), "aria-live": "polite" }));
  const bar = root.appendChild(make("div", { class: "bar" }));
  const button = (name, label) => bar.appendChild(make("button", { type: "button", id: id(name) }, label));
  const play = button("play", "Play"), back = button("back", "Back"), next = button("next", "Step");
  const last = data.steps.length;
  const slider = bar.appendChild(make("input", {
    type: "range", min: 0, max: last, value: 0, step: 1, id: id("scrub"), "aria-label": "step",
  }));
  const count = bar.appendChild(make("span", { class: "count", id: id("count") }));

  let at = 0, timer = null;
  const fit = (text, value) => {
    text.textContent = value;
    text.style.fontSize = value.length > 4 ? `${Math.max(9, 52 / value.length)}px` : "";
  };
  function show(step) {
    at = Math.max(0, Math.min(last, step));
    const now = at ? data.steps[at - 1] : null;
    const values = data.cells.map((cell) => cell.start);
    for (const done of data.steps.slice(0, at))
      if (done.kind === "write" || done.kind === "atomic")
        for (const [, cell, value] of done.touches) values[cell] = value;
    const doing = new Set(now ? now.touches.map((t) => t[0]) : []);
    const touched = new Set(now ? now.touches.map((t) => t[1]) : []);
    spots.forEach(({ spot, group, text }, n) => {
      const cell = n - data.threads.length;
      const here = cell < 0 ? doing.has(n) : touched.has(cell);
      group.setAttribute("data-tone", here ? now.kind : "");
      if (cell < 0) return group.setAttribute("data-idle", now && now.kind !== "fault" && !here ? "yes" : "");
      group.setAttribute("data-home", spot.home);
      const known = values[cell] !== null;
      group.setAttribute("data-known", known ? "yes" : "");
      group.setAttribute("data-outside", spot.outside ? "yes" : "");
      group.style.visibility = spot.outside && !here ? "hidden" : "visible";
      fit(text, known ? values[cell] : spot.outside ? "out" : "?");
    });
    wires.textContent = "";
    for (const [thread, cell, , shift] of now ? now.touches : []) {
      if (cell < 0) continue;
      const a = data.threads[thread], b = data.cells[cell], half = data.cell / 2;
      const line = { x1: a.x + half, y1: a.y + half + shift, x2: b.x + half, y2: b.y + half + shift };
      wires.appendChild(make("svg:line", { ...line, class: now.kind }));
    }
    data.lines.forEach((_, n) => {
      if (data.code) code.children[n].className = now && now.line === n ? `now ${now.kind}` : "";
    });
    caption.textContent = now ? now.text : data.before;
    caption.className = now && now.kind === "fault" ? "caption fault" : "caption";
    slider.value = at;
    count.textContent = `${at} / ${last}`;
    back.disabled = at === 0;
    next.disabled = at === last;
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  play.onclick = () => {
    if (timer) return stop();
    show(at === last ? 0 : at + 1);
    play.textContent = "Pause";
    timer = setInterval(() => (at === last ? stop() : show(at + 1)), 1200);
  };
  back.onclick = () => (stop(), show(at - 1));
  next.onclick = () => (stop(), show(at + 1));
  slider.oninput = () => (stop(), show(Number(slider.value)));
  root.addEventListener("keydown", (event) => {
    const deck = window.Reveal;
    const turn = { ArrowRight: "next", ArrowLeft: "prev", PageDown: "next", PageUp: "prev" }[event.key];
    if (deck && turn) {
      event.preventDefault(); // a slider would eat the arrow keys: the deck gets them
      event.stopPropagation();
      deck[turn]();
    } else if (event.key === " " || event.key === "Enter") event.stopPropagation();
  });
  show(0);
  root.setAttribute("data-ready", "yes");
}
