// Draws the figures when the page has its layout. With a mouse a drag zooms; a finger scrolls.
const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
for (const plot of document.querySelectorAll(".plot")) {
  const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
  Plotly.newPlot(plot, data, { ...layout, dragmode }, { responsive: true, displayModeBar: false });
}

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
