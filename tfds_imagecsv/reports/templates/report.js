// What the page can do beyond being read: search and sort the classes, and copy code.
for (const find of document.querySelectorAll(".find")) {
  find.hidden = false;
  const input = find.querySelector("input");
  const found = find.querySelector("output");
  const rows = [...document.getElementById(input.getAttribute("aria-controls")).rows];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits = row.cells[0].textContent.toLowerCase().includes(words);
      row.classList.toggle("hidden", !fits);
      count += fits;
    }
    found.textContent = words ? `${count} of ${rows.length}` : "";
  });
}
for (const table of document.querySelectorAll("table.sorted")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = at ? "descending" : "ascending";
      const second = at ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const of = (row) => row.cells[at].textContent.trim();
      const number = (row) => Number(of(row).replaceAll(",", ""));
      const compare = at
        ? (one, other) => number(one) - number(other)
        : (one, other) => of(one).localeCompare(of(other), "en", { numeric: true });
      const rows = [...body.rows].sort((one, other) => sign * compare(one, other));
      body.append(...rows);
    });
  });
}
for (const code of document.querySelectorAll("pre.code")) {
  const button = document.createElement("button");
  button.className = "copy";
  button.textContent = "Copy";
  const said = document.createElement("span");
  said.className = "unseen";
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    const text = code.textContent.trimEnd() + "\n";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    said.textContent = "Copied";
  });
  const box = document.createElement("div");
  box.className = "copied";
  code.before(box);
  box.append(code, button, said);
}
