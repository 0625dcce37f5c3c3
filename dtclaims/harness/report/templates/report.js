(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const finder = document.querySelector(".finder");
  if (!finder) return;
  const [section, protocol, text] = all("select, input", finder);
  const told = finder.querySelector("output");
  const verdicts = ["reproduced", "refuted", "inconclusive", "not_evaluable", "not_run", "error"];
  const rows = all("tr[data-claim]").map((row) => {
    const card = document.getElementById(row.dataset.claim);
    return { row, card, said: (row.textContent + " " + (card ? card.textContent : "")).toLowerCase() };
  });
  const seen = (node) => node.offsetParent !== null;

  function apply() {
    const show = document.querySelector('input[name="show"]:checked').id.slice(5);
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { row, card, said } of rows) {
      const cells = all("td[data-protocol]:not(.absent)", row).filter((cell) => !protocol.value || cell.dataset.protocol === protocol.value);
      const fits =
        (!section.value || row.dataset.section === section.value) &&
        words.every((word) => said.includes(word)) &&
        cells.length > 0 &&
        (!verdicts.includes(show) || cells.some((cell) => cell.querySelector("." + show)));
      row.hidden = !fits;
      if (card) card.hidden = !fits;
    }
    for (const node of all("[data-protocol]")) node.hidden = protocol.value && node.dataset.protocol !== protocol.value;
    for (const group of all("[data-group]")) {
      const heading = group.firstElementChild;
      heading.hidden = false;
      heading.hidden = !all("[data-claim], .card", group).some(seen);
    }
    const count = rows.filter(({ row }) => seen(row)).length;
    told.textContent = count + " of " + rows.length + (rows.length === 1 ? " claim" : " claims") + " shown";
  }

  function follow() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
    if (!target || seen(target)) return;
    for (const control of [section, protocol, text]) control.value = "";
    document.getElementById("show-all").checked = true;
    apply();
    target.scrollIntoView();
  }

  document.querySelector("#verdicts").addEventListener("input", apply);
  addEventListener("hashchange", follow);
  finder.hidden = false;
  apply();
  follow();
})();
