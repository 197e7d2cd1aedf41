// Filters and order of the rows, and one recording at a time. Without it all rows are shown.
"use strict";
(() => {
  const form = document.getElementById("filters");
  const list = document.getElementById("cards");
  const cards = [...list.children];
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  const share = document.getElementById("confidence-value");
  let region = null; // ids of the rows that are marked on the map; null where nothing is
  const exact = ["label", "decider", "agreement", "answer", "split"];

  const passes = (card, wanted) =>
    (!region || region.has(card.id.slice("row-".length))) &&
    exact.every((name) => !wanted[name] || card.dataset[name] === wanted[name]) &&
    Number(card.dataset.confidence) >= Number(wanted.confidence) &&
    (!wanted.explained || card.dataset.explained === "yes");

  // Rows without the number come last, whatever the direction.
  const compare = (key, sign) => (one, other) => {
    const [a, b] = [one, other].map((card) => card.dataset[key]);
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (Number(a) - Number(b));
  };

  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const [key, direction] = wanted.order.split("-");
    const order = key ? [...cards].sort(compare(key, direction === "up" ? 1 : -1)) : cards;
    if (order.some((card, place) => list.children[place] !== card)) list.append(...order);
    let count = 0;
    for (const card of cards) {
      card.hidden = !passes(card, wanted);
      if (card.hidden) card.querySelector("audio").pause();
      count += !card.hidden;
    }
    share.value = `${Math.round(wanted.confidence * 100)} %`;
    shown.textContent = `${count} of ${cards.length} rows`;
    none.hidden = count > 0;
  };

  form.addEventListener("input", apply);
  document.addEventListener("region", (event) => { region = event.detail; apply(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    document.getElementById("map-form")?.reset();
    apply();
  }));
  form.hidden = false;
  apply();

  // A link to a row that is filtered out shows it all the same; one to a reason opens it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      form.reset();
      setTimeout(() => target.scrollIntoView());
    } else if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  // "play" does not bubble, so it is caught on its way down.
  list.addEventListener("play", (event) => {
    for (const other of list.querySelectorAll("audio")) if (other !== event.target) other.pause();
  }, true);
})();
