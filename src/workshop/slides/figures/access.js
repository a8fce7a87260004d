(() => {
  const figure = document.getElementById(NAME);
  const { lines, captions } = DATA;
  const last = lines.length - 1;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches || /print-pdf/.test(location.search);
  const play = figure.querySelector("[data-do=play]");
  let step = last, playing = !still, timer = 0;

  function show() {
    figure.querySelectorAll("[data-step]").forEach((mark) => {
      const at = Number(mark.dataset.step);
      mark.style.visibility = (mark.classList.contains("now") ? at === step : at <= step) ? "visible" : "hidden";
      mark.style.opacity = mark.classList.contains("arrow") && at < step ? 0.25 : 1;
    });
    const code = [...(figure.closest("section")?.querySelectorAll("pre.code .line") ?? [])];
    code.forEach((line) => line.classList.toggle("now", Number(line.dataset.line) === lines[step]));
    const number = code.findIndex((line) => line.classList.contains("now")) + 1;
    figure.querySelector(".caption").textContent = (number > 0 ? `line ${number}: ` : "") + captions[step];
    figure.dataset.step = step;
    play.textContent = playing ? "Pause" : "Play";
  }
  function tick() {
    clearTimeout(timer);
    if (playing) timer = setTimeout(() => { step = step === last ? 0 : step + 1; show(); tick(); }, step === last ? 2600 : 1500);
  }
  figure.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    playing = button === play ? !playing : false;
    if (button !== play) step = step === last ? 0 : step + 1;
    button.blur(); /* the arrow keys and the space bar belong to the deck again */
    show();
    tick();
  });
  new IntersectionObserver(([seen]) => {
    clearTimeout(timer);
    if (!seen.isIntersecting) return;
    step = still ? last : 0;
    show();
    tick();
  }).observe(figure);
  show();
})();
