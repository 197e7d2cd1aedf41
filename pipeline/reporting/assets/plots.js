// Charts that answer a pointer, in place of the drawings that stand there without a script.
"use strict";
window.report = JSON.parse(document.getElementById("data").textContent);
window.plots = (() => {
  const views = new Map(); // by the chart's name
  const options = { mode: "vega", ast: true, actions: false, renderer: "svg", defaultStyle: false, logLevel: 1, tooltip: { disableDefaultStyle: true } };
  const signals = new Map([["lit", ""]]); // what charts drawn later begin with

  const set = (view, name, value) => {
    try { view.signal(name, value).run(); } catch { /* a chart without that signal */ }
  };

  const draw = async (place) => {
    const drawn = document.createElement("div");
    const { view } = await vegaEmbed(drawn, window.report.charts[place.dataset.plot], options);
    const svg = drawn.querySelector("svg");
    svg.style.maxWidth = place.querySelector("svg").style.maxWidth;
    svg.setAttribute("aria-hidden", "true");
    place.replaceChildren(svg.parentElement);
    views.set(place.dataset.plot, view);
    for (const [name, value] of signals) set(view, name, value);
  };

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "200px" });
  for (const place of document.querySelectorAll(".plot")) seen.observe(place);

  const signal = (name, value) => {
    signals.set(name, value);
    for (const view of views.values()) set(view, name, value);
  };

  // A name in a legend lights its line in every chart that has it: while pointed at, or until pressed again.
  const keys = [...document.querySelectorAll(".lit")];
  const pressed = () => keys.find((key) => key.ariaPressed === "true")?.dataset.series ?? "";
  for (const key of keys) {
    key.addEventListener("click", () => {
      const wanted = key.ariaPressed === "true" ? "" : key.dataset.series;
      for (const other of keys) other.ariaPressed = String(other.dataset.series === wanted);
      signal("lit", wanted);
    });
    key.addEventListener("pointerenter", () => signal("lit", key.dataset.series));
    key.addEventListener("pointerleave", () => signal("lit", pressed()));
  }
  return { options, signal, views };
})();
