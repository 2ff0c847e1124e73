// Tables sort by the column whose header is pressed, by mouse or keyboard; numbers by value, empty cells last.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const wasDown = header.getAttribute("aria-sort") === "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", wasDown ? "ascending" : "descending");
      const sign = wasDown ? 1 : -1;
      const key = (row) => row.cells[header.cellIndex].dataset.sort;
      const isNumber = header.classList.contains("number");
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (isNumber ? Number(x) - Number(y) : x.localeCompare(y));
      });
      body.append(...rows);
    });
  }
}
