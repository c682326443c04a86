// A click on the header of a table sorts its rows by that column; the baseline stays on top.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const sort = (header) => {
    const column = headers.indexOf(header);
    const ascending = header.getAttribute("aria-sort") === "descending" || (column === 0 && !header.hasAttribute("aria-sort"));
    headers.forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const rows = [...body.rows].filter((row) => !row.classList.contains("baseline"));
    rows.sort((one, other) => {
      const [a, b] = [key(one, column), key(other, column)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return ascending ? order : -order;
    });
    body.append(...rows);
  };
  for (const header of headers) {
    header.tabIndex = 0;
    header.addEventListener("click", () => sort(header));
    header.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(header); }
    });
  }
}
