// What another threshold would keep, and the map of rows.
"use strict";
(() => {
  const form = document.getElementById("threshold");
  const { grid, chosen, rows, sentiments, cells } = report.thresholds;
  const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)}%` : "–");
  const number = (value) => value.toLocaleString("en-US");

  const zeros = (length) => Array(length).fill(0);
  const count = (place) => {
    const found = { kept: 0, speech: 0, agree: 0, labels: zeros(report.labels.length), spoken: zeros(report.labels.length), table: report.labels.map(() => zeros(sentiments.length)) };
    for (const [reached, label, speech, agree, sentiment, rows] of cells) {
      if (reached < place) continue;
      found.kept += rows;
      found.speech += speech * rows;
      found.agree += agree * rows;
      found.labels[label] += rows;
      found.spoken[label] += speech * rows;
      if (sentiment >= 0) found.table[label][sentiment] += rows;
    }
    return found;
  };

  // Cramer's V without empty rows and columns, as the stage label computes it; and what chance gives as many single rows.
  const validity = (table) => {
    const down = table.map((row) => row.reduce((a, b) => a + b, 0));
    const across = sentiments.map((_, column) => table.reduce((sum, row) => sum + row[column], 0));
    const all = down.reduce((a, b) => a + b, 0);
    const [r, c] = [down, across].map((sums) => sums.filter((sum) => sum > 0).length);
    if (Math.min(r, c) < 2 || all <= Math.max(r, c)) return null;
    let squared = 0;
    table.forEach((row, i) => row.forEach((cell, j) => {
      const expected = (down[i] * across[j]) / all;
      if (expected) squared += (cell - expected) ** 2 / expected;
    }));
    return { v: Math.sqrt(squared / all / (Math.min(r, c) - 1)), chance: Math.sqrt((Math.max(r, c) - 1) / (all - 1)), rows: all };
  };

  const slider = form.querySelector("input");
  const fact = (name, text) => { form.querySelector(`[data-fact=${name}]`).textContent = text; };
  const tell = () => {
    const at = grid[slider.value];
    const found = count(Number(slider.value));
    form.querySelector("output").value = at;
    slider.setAttribute("aria-valuetext", String(at));
    form.querySelector(".kept").textContent = `${number(found.kept)} of ${number(rows)} rows kept, ${share(found.kept, rows)}`;
    const most = Math.max(1, ...found.labels);
    [...form.querySelectorAll("tbody tr")].forEach((row, label) => {
      const [speech, image] = row.querySelectorAll(".part");
      speech.style.setProperty("--share", found.spoken[label] / most);
      image.style.setProperty("--share", (found.labels[label] - found.spoken[label]) / most);
      row.cells[2].textContent = number(found.labels[label]);
      row.cells[3].textContent = share(found.labels[label], found.kept);
    });
    fact("speech", `${number(found.speech)} (${share(found.speech, found.kept)})`);
    fact("agree", `${number(found.agree)} (${share(found.agree, found.kept)})`);
    const held = validity(found.table);
    fact("validity", held ? `V ${held.v.toFixed(2)}, by chance ${held.chance.toFixed(2)} (${number(held.rows)} rows)` : "not measured");
    plots.signal("at", at);
  };
  form.addEventListener("input", tell);
  form.addEventListener("reset", () => setTimeout(tell));
  form.addEventListener("submit", (event) => event.preventDefault());
  slider.value = chosen;
  form.hidden = false;
  tell();
})();

(() => {
  const form = document.getElementById("map-form");
  if (!form) return;
  const { columns, places, spec } = report.map;
  const place = document.getElementById("map-plot");
  const said = document.getElementById("map-said");
  const before = said.textContent;
  const shapes = ["circle", "square", "triangle-up", "diamond", "cross"];
  const fixed = { speech: "--speech", picture: "--image", right: "--right", wrong: "--wrong", "not asked": "--paper" };
  let view = null;
  let points = [];

  const kinds = (name) => (name === "label" ? report.labels : [...new Set(columns[name])].sort());
  const colour = (kind, order) => {
    const variable = fixed[kind] ?? `--series-${(order % 8) + 1}`;
    return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
  };

  const fill = () => {
    const { likeness, colour: by } = Object.fromEntries(new FormData(form));
    const order = kinds(by);
    const looks = new Map(order.map((kind, at) => [kind, { colour: colour(kind, at), shape: shapes[at % shapes.length] }]));
    const [xs, ys] = places[likeness];
    points = columns.id.map((id, at) => ({
      id, x: xs[at], y: ys[at], size: columns.shown[at] ? 80 : 30, ...looks.get(columns[by][at]),
      ...Object.fromEntries(["label", "decider", "answer", "split", "confidence", "text"].map((name) => [name, columns[name][at]])),
    }));
    form.querySelector(".legend").replaceChildren(...order.map((kind) => {
      const item = document.createElement("li");
      const mark = document.createElement("span");
      mark.className = `mark ${looks.get(kind).shape}`;
      mark.style.color = looks.get(kind).colour;
      item.append(mark, `${kind} (${columns[by].filter((one) => one === kind).length.toLocaleString("en-US")})`);
      return item;
    }));
    view?.data("points", points).run();
  };

  const mark = (region) => {
    const inside = region?.x && region?.y
      ? points.filter((one) => one.x >= region.x[0] && one.x <= region.x[1] && one.y >= region.y[0] && one.y <= region.y[1])
      : null;
    document.dispatchEvent(new CustomEvent("region", { detail: inside && new Set(inside.map((one) => one.id)) }));
    if (!inside) { said.textContent = before; return; }
    const { colour: by } = Object.fromEntries(new FormData(form));
    const told = kinds(by).map((kind) => [kind, inside.filter((one) => one[by] === kind).length]).filter(([, rows]) => rows);
    const cards = inside.filter((one) => one.size > 30).length;
    said.textContent = `${inside.length} rows in the frame: ${told.map(([kind, rows]) => `${kind} ${rows}`).join(", ") || "none"}; cards of ${cards} below.`;
  };

  const clear = () => view?.signal("region_x", []).signal("region_y", []).data("region_store", []).run();
  const draw = async () => {
    ({ view } = await vegaEmbed(place, spec, { ...plots.options, renderer: "canvas" }));
    const fit = () => view.width(place.clientWidth).height(Math.min(460, Math.max(300, place.clientWidth * 0.6))).run();
    view.data("points", points);
    fit();
    addEventListener("resize", fit);
    view.addSignalListener("region", (_, region) => mark(region));
    view.addEventListener("click", (_, item) => { if (item?.datum?.size > 30) location.hash = `row-${item.datum.id}`; });
  };

  form.hidden = false;
  fill();
  form.addEventListener("input", () => { clear(); fill(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { clear(); fill(); mark(null); }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fill);
  const seen = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) { seen.disconnect(); draw(); }
  }, { rootMargin: "300px" });
  seen.observe(place);
})();
