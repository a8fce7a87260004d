/* Starts reveal.js for one deck: code steps, the light/dark key, and a print view that shows everything. */
(() => {
  const printing = /print-pdf/i.test(window.location.search);
  const page = document.documentElement;
  if (printing) page.dataset.theme = "light";

  /* A code block's later steps are empty fragments behind it: the last one shown decides which lines are lit. */
  function lightLines(pre) {
    const steps = JSON.parse(pre.dataset.steps);
    const shown = pre.querySelectorAll(".code-step.visible").length;
    const lit = printing ? [] : steps[shown];
    pre.querySelectorAll(".line").forEach((line, at) => line.classList.toggle("dim", lit.length > 0 && !lit.includes(at + 1)));
  }
  const lightAll = () => document.querySelectorAll("pre[data-steps]").forEach(lightLines);

  Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0,
    center: false,
    hash: true,
    controls: false,
    progress: true,
    slideNumber: "c/t",
    transition: "none",
    backgroundTransition: "none",
    pdfSeparateFragments: false,
    pdfMaxPagesPerSlide: 1,
    defaultTiming: 120 /* shows the pace in the speaker view; each slide brings its own minutes */,
    plugins: [RevealNotes],
  }).then(lightAll);
  for (const event of ["fragmentshown", "fragmenthidden", "slidechanged"]) Reveal.on(event, lightAll);
  Reveal.addKeyBinding({ keyCode: 84, key: "T", description: "Light or dark" }, () => {
    page.dataset.theme = page.dataset.theme === "dark" ? "light" : "dark";
  });
})();
