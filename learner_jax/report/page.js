"use strict";
// What a mark says is told to whoever points at it, or walks through the marks of a figure that has the focus.
const tip = document.getElementById("tip");
let shown = null;

function show(mark) {
  shown?.classList.remove("on");
  shown = mark;
  tip.hidden = !mark;
  if (!mark) return;
  mark.classList.add("on");
  tip.textContent = mark.dataset.told;
  const box = mark.getBoundingClientRect(), width = document.documentElement.clientWidth;
  const left = Math.min(Math.max(8, box.x + box.width / 2 - tip.offsetWidth / 2), width - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 6;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 0 ? above : box.bottom + 6) + scrollY}px`;
}

for (const card of document.querySelectorAll(".card")) {
  const marks = [...card.querySelectorAll(".mark")];
  if (!marks.length) continue;
  card.addEventListener("pointerover", (event) => show(event.target.closest(".mark")));
  card.addEventListener("pointerleave", () => show(null));
  card.addEventListener("blur", () => show(null));
  card.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(null);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = marks.indexOf(shown);
    const next = marks[at < 0 ? (step > 0 ? 0 : marks.length - 1) : (at + step + marks.length) % marks.length];
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
    show(next);
  });
}
