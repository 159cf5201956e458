(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const number = text => /^[-+]?\d+(\.\d+)?(\s|$)/.test(text) ? parseFloat(text) : NaN;
  const order = (a, b) => number(a) - number(b) || a.localeCompare(b, undefined, {numeric: true});

  all("th").forEach(th => {
    if (!th.textContent) return;
    const button = document.createElement("button"), table = th.closest("table"), body = table.tBodies[0];
    button.append(...th.childNodes);
    th.append(button);
    button.onclick = () => {
      const down = th.ariaSort === "ascending" ? -1 : 1, text = row => row.cells[th.cellIndex].textContent.trim();
      all("th", table).forEach(other => other.ariaSort = null);
      th.ariaSort = down > 0 ? "ascending" : "descending";
      const rows = all("tr:not(.total)", body), totals = all("tr.total", body);
      rows.sort((a, b) => !text(a) - !text(b) || down * order(text(a), text(b)));
      body.append(...rows, ...totals);
    };
  });

  const form = document.querySelector(".filters");
  if (form) {
    form.hidden = false;
    const rows = all(".instances tbody tr"), others = all("article[data-object]");
    const filter = () => {
      const wanted = Object.fromEntries(new FormData(form)), words = wanted.text.toLowerCase();
      const fits = element => ["status", "object", "reason"].every(name => !wanted[name]
        || element.dataset[name] === wanted[name] || name === "reason" && element.tagName === "ARTICLE")
        && element.textContent.toLowerCase().includes(words);
      [...rows, ...others].forEach(element => element.hidden = !fits(element));
      form.querySelector("output").value = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
    };
    form.oninput = filter;
    form.onsubmit = event => event.preventDefault();
    filter();
  }

  const dialog = document.createElement("dialog"), large = new Image(), caption = document.createElement("p");
  dialog.append(large, caption);
  document.body.append(dialog);
  let shown;
  const zoom = image => {
    shown = image;
    large.src = image.src;
    large.style.setProperty("--aspect", image.naturalWidth / image.naturalHeight);
    const of = image.closest("article, tr");
    caption.textContent = [of.querySelector("h3, td:nth-child(2)").textContent,
      image.closest("figure")?.textContent.trim()].filter(Boolean).join(": ");
    if (!dialog.open) dialog.showModal();
  };
  const images = all("article img, .instances img");
  images.forEach(image => {
    image.classList.add("zoomable");
    if (image.closest("article")) image.tabIndex = 0;
    image.onclick = () => zoom(image);
    image.onkeydown = event => event.key === "Enter" && zoom(image);
  });
  dialog.onclick = () => dialog.close();
  dialog.onkeydown = event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step) return;
    const visible = images.filter(image => image.offsetParent);
    zoom(visible.at((visible.indexOf(shown) + step) % visible.length));
  };
})();
