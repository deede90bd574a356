"use strict";
(() => {
  const compare = (a, b, numeric) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return numeric ? Number(a) - Number(b) : a.localeCompare(b);
  };
  const sort = (table, index) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const value = (row) => row.cells[index].dataset.v ?? row.cells[index].textContent.trim();
    const known = rows.map(value).filter((text) => text !== "");
    const numeric = known.every((text) => !Number.isNaN(Number(text)));
    const before = heads[index].getAttribute("aria-sort");
    const descending = before ? before === "ascending" : numeric && heads[index].dataset.best !== "min";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[index].setAttribute("aria-sort", descending ? "descending" : "ascending");
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = compare(x, y, numeric);
      return x === "" || y === "" || !descending ? order : -order;
    });
    body.append(...rows);
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((head, index) =>
      head.querySelector("button")?.addEventListener("click", () => sort(table, index)));
  });

  const filter = document.getElementById("filter");
  const references = document.getElementById("references");
  const narrow = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    document.querySelectorAll("table.filtered tbody tr").forEach((row) => {
      const label = row.dataset.label.toLowerCase();
      row.hidden = !words.every((word) => label.includes(word)) || (!references.checked && row.classList.contains("reference"));
      shown += row.hidden || row.closest("table").id !== "main" ? 0 : 1;
    });
    document.getElementById("shown").textContent = `${shown} generator${shown === 1 ? "" : "s"} shown`;
  };
  filter?.addEventListener("input", narrow);
  references?.addEventListener("change", narrow);
  const intervals = document.getElementById("intervals");
  intervals?.addEventListener("change", () => document.body.classList.toggle("no-intervals", !intervals.checked));

  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const inner = target.querySelector(":scope > details");
    if (inner) inner.open = true;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "selected";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }));

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((item) => { item.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((item) => { item.open = false; }));
})();
