const read = (id) => JSON.parse(document.getElementById(id).textContent);
const front = read("data"), words = read("words"), students = read("students");
const aside = document.querySelector("aside");
const tied = new Map(front.trials.map((trial) => [trial.number, trial.tied_with]));
const rows = new Map([...document.querySelectorAll("tr[data-trial]")].map((row) => [+row.dataset.trial, row]));
const drawn = [];

// What hovers over a trial: its lines, and its knobs, three to a line.
function told(number) {
  const { lines, knobs } = words[number];
  const rows = [];
  for (let i = 0; i < knobs.length; i += 3) rows.push(knobs.slice(i, i + 3).join(" · "));
  return [...lines, ...rows].join("<br>");
}

// Points at a trial, and at those tied with it, in all figures but the one that the mouse is in.
let pointed = null;
function point(number, from = null) {
  if (number === pointed) return;
  rows.get(pointed)?.classList.remove("pointed");
  rows.get(number)?.classList.add("pointed");
  pointed = number;
  const all = number === null ? [] : [number, ...(tied.get(number) ?? [])];
  for (const plot of drawn) if (plot !== from) mark(plot, all);
}

function mark(plot, numbers) {
  const lines = plot.data.findIndex((trace) => trace.type === "parcoords");
  if (lines >= 0) {
    const own = plot.data[lines].customdata;
    const colour = own.map((n) => (n === numbers[0] ? 2 : plot.faint[n]));
    return Plotly.restyle(plot, { "line.color": [colour] }, [lines]);
  }
  const at = plot.data.findIndex((trace) => trace.name === "halo");
  if (at < 0 || (!numbers.length && !plot.data[at].x.length)) return;
  const places = numbers.map((n) => plot.places.get(n)).filter(Boolean);
  const solid = plot.data[at].type === "scatter3d";
  // In space plotly draws a ring at half its size.
  const sizes = places.map((_, i) => (i ? 17 : 24) * (solid ? 1.4 : 1));
  const moved = { "marker.size": [sizes] };
  for (const axis of solid ? "xyz" : "xy") moved[axis] = [places.map((place) => place[axis])];
  Plotly.restyle(plot, moved, [at]);
}

// What hovers over each trial, and where it is: kept, as plotly may write to the data it draws.
function prepare(plot, data) {
  plot.places = new Map();
  for (const trace of data) {
    if (!trace.customdata) continue;
    if (trace.type === "parcoords") {
      plot.faint = Object.fromEntries(trace.customdata.map((n, i) => [n, trace.line.color[i]]));
      continue;
    }
    trace.hovertext = trace.customdata.map(told);
    trace.customdata.forEach((n, i) => plot.places.set(n, { x: trace.x[i], y: trace.y[i], z: trace.z?.[i] }));
  }
}

function listen(plot) {
  drawn.push(plot);
  const over = (event) => {
    const number = event.points?.[0]?.customdata; // the teacher has none
    if (number !== undefined) point(number, plot);
  };
  plot.on("plotly_hover", over);
  plot.on("plotly_unhover", () => point(null));
  // A finger covers what would hover: what it taps is told at the foot of the page instead.
  let finger = false;
  plot.addEventListener("pointerdown", (event) => { finger = event.pointerType === "touch"; }, true);
  plot.on("plotly_click", (event) => {
    if (!finger) return;
    const text = event.points[0].hovertext;
    if (text) aside.firstElementChild.innerHTML = text;
    aside.hidden = !text;
    Plotly.Fx.unhover(plot);
    over(event);
  });
}

// Draws the figures when the page has its layout. With a mouse a drag zooms; a finger scrolls.
async function draw() {
  const packed = atob(document.getElementById("plotly").textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const opened = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(opened).text();
  document.head.append(script);
  const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
  for (const plot of document.querySelectorAll(".plot")) {
    const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
    prepare(plot, data);
    await Plotly.newPlot(plot, data, { ...layout, dragmode }, { responsive: true, displayModeBar: false });
    listen(plot);
  }
  document.body.dataset.drawn = drawn.length;
}
draw().catch((error) => {
  for (const plot of document.querySelectorAll(".plot:not(.js-plotly-plot)")) {
    plot.textContent = `This browser cannot draw the figure (${error.message}); the table holds its numbers.`;
    plot.classList.add("broken");
  }
  throw error;
});

// Sorts the table by a click on a heading: numbers as numbers, empty cells last.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = [...head.parentNode.children].indexOf(head);
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0];
    const value = (row) => row.children[column].dataset.value;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const sign = falling ? -1 : 1;
      return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
    };
    body.append(...[...body.rows].sort(order));
  });
}

aside.querySelector("button").addEventListener("click", () => { aside.hidden = true; point(null); });

// A row points at its trial, and copies its YAML.
const dialog = document.querySelector("dialog");
const [yaml, status] = [dialog.querySelector("pre"), dialog.querySelector("[role=status]")];
for (const [number, row] of rows) {
  row.addEventListener("pointerenter", () => point(number));
  row.addEventListener("pointerleave", () => point(null));
  row.querySelector(".copy")?.addEventListener("click", () => {
    dialog.querySelector("h2").textContent = `student.yaml of trial ${number}`;
    yaml.textContent = students[number];
    dialog.showModal();
    copy();
  });
}
dialog.querySelector(".again").addEventListener("click", copy);

// In a frame, as in MLflow, the clipboard may be closed to scripts: then the old way, by selection.
async function copy() {
  getSelection().selectAllChildren(yaml);
  const done = await (navigator.clipboard?.writeText(yaml.textContent) ?? Promise.reject())
    .then(() => true, () => document.execCommand("copy"));
  status.textContent = done ? "Copied. Save it as student.yaml, then: tune-distill train student.yaml" : "Selected: copy it with the keyboard.";
}
