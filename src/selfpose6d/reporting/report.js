{
const all = (query, root = document) => [...root.querySelectorAll(query)];
const number = text => /^[-+]?\d+(\.\d+)?(\s|$)/.test(text) ? parseFloat(text) : NaN;
const order = (a, b) => number(a) - number(b) || a.localeCompare(b, [], {numeric: true});

for (const th of all("th")) {
  const body = th.closest("table").tBodies[0], text = row => row.cells[th.cellIndex].textContent.replace(/^-$/, "");
  if (th.textContent) th.innerHTML = `<button>${th.innerHTML}</button>`;
  th.onclick = () => {
    const sort = th.ariaSort == "ascending" ? "descending" : "ascending", sign = sort == "ascending" ? 1 : -1;
    for (const other of th.parentNode.cells) other.ariaSort = other == th ? sort : null;
    all("tr:not(.total)", body)
      .sort((a, b) => !text(a) - !text(b) || sign * order(text(a), text(b)))
      .forEach(row => body.insertBefore(row, body.querySelector(".total")));
  };
}

const form = document.forms[0];
if (form) {
  form.hidden = false;
  form.onsubmit = () => false;
  (form.oninput = () => {
    for (const one of all("[data-object]")) one.hidden = all("[name]", form).some(({name, value}) =>
      value && (name == "text" ? !one.textContent.toLowerCase().includes(value.toLowerCase())
        : name in one.dataset && one.dataset[name] != value));
    form.lastElementChild.value = `${all("tr[data-object]:not([hidden])").length} of ${all("tr[data-object]").length}`;
  })();
}

let large;
const enlarge = next => {
  large?.classList.remove("large");
  (large = next)?.classList.add("large");
};
onclick = ({target}) => enlarge(!large && target.tagName == "IMG" ? target.closest("figure") || target : null);
onkeydown = ({key, target}) => {
  const step = {ArrowLeft: -1, ArrowRight: 1}[key];
  if (key == "Escape") enlarge();
  if (key == "Enter" && target.tagName == "IMG") target.click();
  if (!large || !step) return;
  const shown = all("article figure, td > img").filter(one => !one.closest("[hidden]"));
  enlarge(shown.at((shown.indexOf(large) + step) % shown.length));
};
}
