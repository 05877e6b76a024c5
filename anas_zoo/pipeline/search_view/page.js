// Draws the figure of the page's JSON, and shows the architecture of the point that is clicked.
"use strict";

const page = JSON.parse(document.getElementById("search").textContent);
const plot = document.getElementById("plot");

function show(point) {
  if (!point.customdata) return; // a published entry: its architecture is not known here
  const [id, resolution, width, depth, kernel_size, expand_ratio] = point.customdata;
  const lists = { width, depth, kernel_size, expand_ratio };
  const lines = Object.entries(lists).map(([key, list]) => `,\n  "${key}": ${JSON.stringify(list)}`);
  // textContent, never innerHTML: nothing of the search is read as markup.
  document.getElementById("chosen").textContent = id;
  document.getElementById("arch").textContent = `{\n  "resolution": ${resolution}${lines.join("")}\n}`;
  if (page.extract_command !== null) {
    document.getElementById("command").textContent = page.extract_command.split("{arch_id}").join(id);
  }
  document.getElementById("panel").hidden = false;
}

const byWebGL = page.figure.data.filter((trace) => trace.type === "scattergl");
if (byWebGL.length && !document.createElement("canvas").getContext("webgl")) {
  for (const trace of byWebGL) trace.type = "scatter"; // slow, but all of it
}

Plotly.newPlot(plot, page.figure.data, page.figure.layout, {
  displaylogo: false,
  responsive: true,
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
}).then(() => plot.on("plotly_click", (event) => show(event.points[0])));
