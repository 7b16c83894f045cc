"use strict";
for (const [id, spec] of Object.entries(SPECS)) {
  vegaEmbed(`#${id}`, spec, {renderer: "svg", actions: false}).catch(console.error);
}

// A card's viewer: the image below, one of its pictures above it, cut at the slider.
function lay(card, button) {
  const stack = card.querySelector(".stack");
  const below = card.querySelector(".tiles img");
  const above = button.querySelector("img");
  if (!stack.firstChild) {
    for (const name of ["below", "above"]) {
      const picture = document.createElement("img");
      picture.className = name;
      stack.append(picture);
    }
    stack.children[0].src = below.src;
    stack.children[0].alt = below.alt;
    card.querySelector(".viewer").hidden = false;
  }
  stack.children[1].src = above.src;
  stack.children[1].alt = above.alt;
  for (const other of card.querySelectorAll(".tiles button")) other.setAttribute("aria-pressed", other === button);
  card.querySelector(".over").textContent = SAYS[button.dataset.kind][0].toLowerCase();
  card.querySelector(".says").textContent = SAYS[button.dataset.kind][1];
}

function cut(card, percent) {
  card.querySelector(".slider input").value = percent;
  card.querySelector(".stack").style.setProperty("--cut", `${percent}%`);
}

const cards = [...document.querySelectorAll(".card")];
for (const card of cards) {
  const buttons = [...card.querySelectorAll(".tiles button")];
  for (const button of buttons) button.addEventListener("click", () => lay(card, button));
  const slider = card.querySelector(".slider input");
  slider.addEventListener("input", () => cut(card, slider.value));
  const stack = card.querySelector(".stack");
  const drag = event => {
    const box = stack.getBoundingClientRect();
    cut(card, Math.round(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * 100));
  };
  stack.addEventListener("pointerdown", drag);
  stack.addEventListener("pointermove", event => { if (event.buttons) drag(event); });
  stack.addEventListener("dragstart", event => event.preventDefault());
  lay(card, buttons[card.dataset.above]);
  cut(card, slider.value);
}

if (cards.length) {
  const filter = document.getElementById("filter");
  const order = document.getElementById("order");
  const layer = document.getElementById("layer");
  const compare = {
    best: (a, b) => a.dataset.rank - b.dataset.rank,
    worst: (a, b) => b.dataset.rank - a.dataset.rank,
    id: (a, b) => a.dataset.id.localeCompare(b.dataset.id, undefined, {numeric: true}),
  };
  const sift = () => {
    for (const card of cards) card.hidden = filter.value !== "" && !card.dataset.classes.split(" ").includes(filter.value);
    const left = cards.filter(card => !card.hidden).length;
    document.getElementById("shown").textContent = `${left} image${left === 1 ? "" : "s"}`;
  };
  const sort = () => document.getElementById("cards").append(...cards.sort(compare[order.value]));
  filter.addEventListener("change", sift);
  order.addEventListener("change", sort);
  layer.addEventListener("change", () => {
    for (const card of cards) {
      const button = card.querySelector(`.tiles button[data-kind="${layer.value}"]`);
      if (button) lay(card, button);
    }
  });
  // A browser may bring back what was chosen before.
  sift();
  sort();
}
