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
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: value("--soft"), activecolor: value("--accent") };
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
  const nameOf = ({ figure }, index) =>
    `${document.title}-${figure.layout.title?.text ?? "figure"}-${index + 1}`
      .replace(/<[^>]*>/g, "").replace(/[^\p{L}\p{N}.]+/gu, "-");
  const save = (href, name) => Object.assign(document.createElement("a"), { href, download: name }).click();
  const quoted = (value) => (/[",\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : value ?? "");
  const csv = ({ columns, rows }) => [columns, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n");
  const picture = (plot, index, format) => {
    const { data, layout } = themed(plot);
    // A figure has no background of its own, and text of the page's colour.
    layout.paper_bgcolor = getComputedStyle(document.body).backgroundColor;
    const { offsetWidth: width, offsetHeight: height } = plot.div;
    return Plotly.toImage({ data, layout }, { format, width, height, scale: format === "png" ? 3 : 1 })
      .then((url) => save(url, `${nameOf(plot, index)}.${format}`));
  };
  const buttons = (plot, index) => {
    const found = ["png", "svg"].map((format) => ({
      name: format, title: `Save as ${format.toUpperCase()}`,
      icon: Plotly.Icons[format === "png" ? "camera" : "pencil"], click: () => picture(plot, index, format),
    }));
    const table = plot.figure.layout.meta?.table;
    if (table) {
      const href = () => URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
      found.push({
        name: "csv", title: "Save the numbers as CSV", icon: Plotly.Icons.disk,
        click: () => save(href(), `${nameOf(plot, index)}.csv`),
      });
    }
    return found;
  };
  const links = JSON.parse(document.getElementById("links")?.textContent ?? '{"runs": {}}');
  const follow = ({ points }) => {
    const path = links.runs[points[0].customdata];
    if (path) window.open(links.base + path, "_blank", "noopener");
  };
  const draw = (plot) => {
    const { data, layout } = themed(plot);
    const options = { displaylogo: false, responsive: true, displayModeBar: true,
      modeBarButtons: [buttons(plot, plots.indexOf(plot))] };
    return Plotly.react(plot.div, data, layout, options);
  };
  const shown = ({ div }) => !div.closest("details:not([open])");
  const begin = (plot) => {
    draw(plot);
    if (!plot.begun) plot.div.on("plotly_click", follow);
    plot.begun = true;
  };
  const drawAll = () => plots.filter(shown).forEach(begin);
  drawAll();
  for (const closed of document.querySelectorAll("details.lazy")) closed.addEventListener("toggle", drawAll);
  dark.addEventListener("change", drawAll);

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      const same = `.legend button[data-group="${CSS.escape(button.dataset.group)}"]`;
      document.querySelectorAll(same).forEach((other) => other.setAttribute("aria-pressed", on));
      for (const plot of plots) {
        plot.hidden[on ? "delete" : "add"](button.dataset.group);
        if (plot.begun) draw(plot);
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
