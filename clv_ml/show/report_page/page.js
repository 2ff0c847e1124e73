// Tables sort by the column whose header is pressed, by mouse or keyboard; numbers by value, empty cells last. Customers
// are found by words and lists, saved as CSV, and each has a card.
"use strict";

const byKey = (key, sign, isNumber) => (a, b) => {
  const x = key(a), y = key(b);
  if (x === "" || y === "") return (x === "") - (y === "");
  return sign * (isNumber ? Number(x) - Number(y) : x.localeCompare(y));
};

function pressable(table, sort) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const wasDown = header.getAttribute("aria-sort") === "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", wasDown ? "ascending" : "descending");
      sort(header.cellIndex, wasDown ? 1 : -1, header.classList.contains("number"));
    });
  }
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

// where the picture is wider than the screen, the forecast is what shows first
for (const wide of document.querySelectorAll(".wide")) wide.scrollLeft = wide.scrollWidth;

// paper shows what is folded, too
const folded = [...document.querySelectorAll("details")];
addEventListener("beforeprint", () => folded.forEach((one) => { one.dataset.open = one.open; one.open = true; }));
addEventListener("afterprint", () => folded.forEach((one) => { one.open = one.dataset.open === "true"; }));

const data = document.getElementById("customer-data");
const ofCustomers = document.querySelector("#customers table");
for (const table of document.querySelectorAll("table.sortable")) {
  if (data && table === ofCustomers) continue;
  const body = table.tBodies[0];
  pressable(table, (column, sign, isNumber) => {
    body.append(...[...body.rows].sort(byKey((row) => row.cells[column].dataset.sort, sign, isNumber)));
  });
}

if (data) {
  const SHOWN = 100;
  const customers = JSON.parse(data.textContent);
  const form = document.getElementById("find"), card = document.getElementById("card");
  const headers = [...ofCustomers.tHead.rows[0].cells];
  const titles = headers.map((header) => header.textContent);
  const kinds = headers.map((header) => header.className);
  const pickers = [...form.querySelectorAll("select")];
  const keyOf = (customer, column) => customer.keys[column] ?? customer.cells[column];
  let found = customers;

  const drawMonths = (months) => {
    const space = "http://www.w3.org/2000/svg", top = Math.max(1, ...months);
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `0 0 ${months.length * 10} 60`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Spent a month, the newest last: ${months.join(", ")}`);
    months.forEach((amount, place) => {
      const bar = document.createElementNS(space, "rect"), height = (Math.max(0, amount) / top) * 58;
      for (const [name, value] of Object.entries({ x: place * 10, y: 60 - height, width: 8, height })) bar.setAttribute(name, value);
      svg.append(bar);
    });
    return svg;
  };

  const open = (customer) => {
    document.getElementById("card-name").textContent = `Customer ${customer.cells[0]}`;
    const facts = element("dl");
    for (const [name, value] of customer.facts) facts.append(element("dt", name), element("dd", value));
    document.getElementById("card-text").replaceChildren(
      element("p", customer.cells.at(-1)), facts, element("p", "Spent in each of the last 24 months, the newest last:"), drawMonths(customer.months),
    );
    card.showModal();
  };

  const rowOf = (customer) => {
    const row = element("tr");
    customer.cells.forEach((text, column) => {
      const cell = element("td", column ? text : undefined);
      cell.className = kinds[column];
      cell.dataset.title = titles[column];
      cell.dataset.sort = keyOf(customer, column);
      if (!column) {
        const button = element("button", text);
        button.type = "button";
        button.addEventListener("click", () => open(customer));
        cell.append(button);
      }
      row.append(cell);
    });
    return row;
  };

  const show = () => {
    ofCustomers.tBodies[0].replaceChildren(...found.slice(0, SHOWN).map(rowOf));
    const some = found.length > SHOWN ? `, the first ${SHOWN} shown` : "";
    document.getElementById("found").textContent = `${found.length.toLocaleString("en")} of ${customers.length.toLocaleString("en")} customers${some}`;
  };

  const find = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = customers.filter((customer) => {
      const text = customer.cells.join(" ").toLowerCase();
      return words.every((word) => text.includes(word)) && pickers.every((one) => !one.value || customer[one.name].includes(one.value));
    });
    show();
  };

  // a cell that a spreadsheet would take for a formula begins with an apostrophe
  const quoted = (text) => `"${(/^[=+\-@\t\r]/.test(text) && isNaN(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const save = () => {
    const lines = [[...titles, "Lists"], ...found.map((one) => [...titles.map((_, column) => keyOf(one, column)), one.list.join(" ")])];
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join(",")).join("\r\n")], { type: "text/csv" }));
    link.download = "customers.csv";
    link.click();
  };

  pressable(ofCustomers, (column, sign, isNumber) => {
    customers.sort(byKey((customer) => keyOf(customer, column), sign, isNumber));
    find();
  });
  form.hidden = false;
  form.addEventListener("input", find);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("save").addEventListener("click", save);
  for (const link of document.querySelectorAll("[data-list]")) {
    link.addEventListener("click", () => {
      form.reset();
      if (form.elements.list) form.elements.list.value = link.dataset.list;
      find();
    });
  }
  show();
}
