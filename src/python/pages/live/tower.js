"use strict";
// The tower of a route: the outermost layer is its base, what answers stands on top, and a request climbs it.
const SVG = "http://www.w3.org/2000/svg";

function shape(kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawTower(route) {
  const steps = route.passes;
  const [width, tall, gap, foot] = [440, 26, 3, 26];
  const height = steps.length * (tall + gap) + foot;
  const middle = 196;
  const widest = 384;
  const narrowest = Math.min(190, widest);
  const shrink = steps.length > 1 ? (widest - narrowest) / (steps.length - 1) : 0;
  const spelled = steps.map((step) => step.name + (step.python ? " (Python)" : "")).join(", ");
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  drawing.append(shape("title", {}, `A request passes, from the outside: ${spelled}`));
  let entered = false;
  steps.forEach((step, at) => {
    const wide = widest - shrink * at;
    const top = height - foot - (at + 1) * (tall + gap);
    const isLeaf = at === steps.length - 1;
    const group = shape("g", { class: [isLeaf ? "leaf" : "", step.python ? "in-python" : ""].join(" ").trim() });
    group.append(shape("title", {}, step.name));
    group.append(shape("rect", { class: "step", x: middle - wide / 2, y: top, width: wide, height: tall, rx: 3 }));
    const room = Math.floor(wide / 8);
    const name = step.name.length > room ? `${step.name.slice(0, room - 1)}…` : step.name;
    group.append(shape("text", { x: middle, y: top + tall / 2 }, name));
    drawing.append(group);
    if (step.python && !entered) {
      entered = true;
      const edge = middle + wide / 2;
      drawing.append(shape("path", { class: "way", d: `M${edge + 4} ${top + tall / 2}h10` }));
      drawing.append(shape("text", { class: "enters", x: edge + 17, y: top + tall / 2 }, "enters Python"));
    }
  });
  const ground = height - foot;
  drawing.append(shape("path", { class: "way", d: `M${middle} ${height - 2}v-14m-4 5l4 -5l4 5` }));
  drawing.append(shape("text", { class: "asked", x: middle + 42, y: ground + 15 }, "a request"));
  return drawing;
}
