"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")].map((div) => ({
    div, figure: JSON.parse(div.nextElementSibling.textContent), hidden: new Set(),
  }));

  // Colours of text and grid come from the page, so that one figure serves light and dark.
  const themed = ({ figure, hidden }) => {
    const css = getComputedStyle(document.documentElement);
    const value = (name) => css.getPropertyValue(name).trim();
    const layout = structuredClone(figure.layout);
    layout.font = { ...layout.font, color: value("--ink") };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: value("--wash"), bordercolor: value("--line"), font: { color: value("--ink") } };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis/.test(name)) {
        Object.assign(layout[name], { gridcolor: value("--grid"), linecolor: value("--line") });
        layout[name].tickfont = { color: value("--soft"), ...layout[name].tickfont };
      }
    }
    const data = figure.data.map((trace) => {
      const copy = { ...trace, visible: !hidden.has(trace.legendgroup) };
      if (trace.type === "heatmap") {
        copy.textfont = { ...trace.textfont, color: value("--ink") };
        if (dark.matches) copy.colorscale = layout.meta.dark_colorscale;
      }
      return copy;
    });
    return { data, layout };
  };
  const draw = (plot) => {
    const { data, layout } = themed(plot);
    return Plotly.react(plot.div, data, layout, { displayModeBar: false, responsive: true });
  };
  const drawAll = () => plots.forEach(draw);
  drawAll();
  dark.addEventListener("change", drawAll);

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      const same = `.legend button[data-group="${CSS.escape(button.dataset.group)}"]`;
      document.querySelectorAll(same).forEach((other) => other.setAttribute("aria-pressed", shown));
      for (const plot of plots) {
        plot.hidden[shown ? "delete" : "add"](button.dataset.group);
        draw(plot);
      }
    });
  }

  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text.replace("−", "-").replace(" %", ""));
    return text !== "" && Number.isFinite(number) ? number : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b);
  };
  for (const head of document.querySelectorAll(".sortable thead th")) {
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = head.closest("table").tBodies[0];
      const rows = [...body.rows].sort((a, b) => compare(key(a, head.cellIndex), key(b, head.cellIndex)));
      body.append(...(up ? rows : rows.reverse()));
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  }
})();
