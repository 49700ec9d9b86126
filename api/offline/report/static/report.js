// A click on the head of a table sorts it.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const key = (row) => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent; };
      const figure = (row) => key(row).trim() === "" ? NaN : Number(key(row));
      const compare = (a, b) => {
        const x = figure(a), y = figure(b);
        if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
        return sign * (Number.isNaN(x) ? key(a).localeCompare(key(b)) : x - y);
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
