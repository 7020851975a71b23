"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tables that sort: the button of a column's head, so that a keyboard can do it too.
  const valueOf = (row, column) => row.cells[column].dataset.value ?? "";

  function compare(a, b, kind, sign) {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is undefined comes last, both ways
    return sign * (kind === "number" ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true }));
  }

  function sortBy(head) {
    const before = head.getAttribute("aria-sort");
    const first = head.dataset.kind === "number" ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    const order = before === first ? second : first;
    const table = head.closest("table");
    all("th[aria-sort]", table).forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
    const body = table.tBodies[0];
    const sign = order === "ascending" ? 1 : -1;
    const column = head.cellIndex;
    const rows = [...body.rows];
    rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), head.dataset.kind, sign));
    body.append(...rows);
  }

  all("table.sortable th[aria-sort] button").forEach((button) =>
    button.addEventListener("click", () => sortBy(button.closest("th"))));

  // One run at a time, and the species whose names hold what was typed.
  const panels = all(".panel");
  const runChoice = one("#run-choice");
  const filter = one("#species-filter");

  function showPanel() {
    panels.forEach((panel) => { panel.hidden = panel.dataset.run !== runChoice.value; });
    filterSpecies();
  }

  function filterSpecies() {
    const wanted = filter.value.trim().toLowerCase();
    for (const panel of panels) {
      const rows = [...one("table.species", panel).tBodies[0].rows];
      rows.forEach((row) => {
        const { value, names } = row.cells[0].dataset;
        row.hidden = !`${value} ${names}`.toLowerCase().includes(wanted);
      });
      if (!panel.hidden) {
        const shown = rows.filter((row) => !row.hidden).length;
        one("#species-count").textContent = `${shown} of ${rows.length} species`;
      }
    }
  }

  if (panels.length) {
    runChoice.addEventListener("change", showPanel);
    filter.addEventListener("input", filterSpecies);
    showPanel();
  }

  // The numbers under the pointer of a chart; arrow keys move it.
  const readouts = JSON.parse(one("#readouts").textContent);

  function nearest(pixels, wanted) {
    let best = 0;
    pixels.forEach((pixel, i) => { if (Math.abs(pixel - wanted) < Math.abs(pixels[best] - wanted)) best = i; });
    return best;
  }

  function element(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function read(plot, pixel) {
    const chart = readouts[plot.dataset.chart];
    const lines = chart.lines.filter((line) => line.pixels.length);
    if (!lines.length) return;
    const anchor = lines.reduce((a, b) =>
      Math.abs(a.pixels[nearest(a.pixels, pixel)] - pixel) <= Math.abs(b.pixels[nearest(b.pixels, pixel)] - pixel) ? a : b);
    const at = nearest(anchor.pixels, pixel);
    const x = anchor.pixels[at];
    const box = one(".readout", plot);
    box.replaceChildren(element("span", `${chart.label} ${anchor.x[at]}`));
    for (const line of lines) {
      const i = nearest(line.pixels, x);
      if (Math.abs(line.pixels[i] - x) > 8 || line.y[i] === null) continue;
      const row = element("div", "");
      row.append(element("i", "", `c${line.colour}`), element("span", line.name, "name"), element("b", String(line.y[i])));
      box.append(row);
    }
    box.hidden = false;
    const place = (x / chart.width) * plot.clientWidth;
    const room = plot.clientWidth - box.offsetWidth;
    box.style.left = `${Math.max(Math.min(place - box.offsetWidth / 2, room), 0)}px`;
    const pointer = one(".pointer", plot);
    pointer.setAttribute("x1", x);
    pointer.setAttribute("x2", x);
    plot.classList.add("reading");
    plot.dataset.pixel = x;
  }

  function stopReading(plot) {
    plot.classList.remove("reading");
    one(".readout", plot).hidden = true;
  }

  function step(plot, direction) {
    const pixels = readouts[plot.dataset.chart].lines.flatMap((line) => line.pixels).sort((a, b) => a - b);
    const now = Number(plot.dataset.pixel ?? -1);
    const ahead = direction > 0 ? pixels.find((p) => p > now + 0.05) : pixels.findLast((p) => p < now - 0.05);
    read(plot, ahead ?? now);
  }

  for (const plot of all(".plot")) {
    const follow = (event) => {
      const box = one("svg", plot).getBoundingClientRect();
      read(plot, ((event.clientX - box.left) / box.width) * readouts[plot.dataset.chart].width);
    };
    plot.addEventListener("pointermove", follow);
    plot.addEventListener("pointerdown", follow);
    plot.addEventListener("pointerleave", () => stopReading(plot));
    plot.addEventListener("blur", () => stopReading(plot));
    plot.addEventListener("keydown", (event) => {
      const direction = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (direction) {
        event.preventDefault();
        step(plot, direction);
      } else if (event.key === "Escape") stopReading(plot);
    });
  }

  // Soundscapes: one at a time; a place in the picture is a time of the sound.
  const scapes = all(".scape");
  const scapeChoice = one("#scape-choice");

  function showScape(index) {
    const wanted = (index + scapes.length) % scapes.length;
    scapeChoice.value = String(wanted);
    scapes.forEach((scape, i) => {
      scape.hidden = i !== wanted;
      if (scape.hidden) one("audio", scape).pause();
    });
  }

  function openScape(scape) {
    const audio = one("audio", scape);
    const stage = one(".stage", scape);
    const head = one(".playhead", scape);
    const seconds = Number(scape.dataset.seconds);

    function place() {
      const share = Math.min(audio.currentTime / seconds, 1);
      head.style.left = `calc(var(--gutter) + (100% - var(--gutter)) * ${share})`;
      if (!audio.paused) requestAnimationFrame(place);
    }

    function playFrom(time) {
      audio.currentTime = time;
      audio.play();
    }

    ["play", "seeked", "timeupdate", "pause"].forEach((name) => audio.addEventListener(name, place));
    stage.addEventListener("click", (event) => {
      const track = event.target.closest(".track");
      if (!track) return;
      const box = track.getBoundingClientRect();
      playFrom(((event.clientX - box.left) / box.width) * seconds);
    });
    all("[data-at]", scape).forEach((button) =>
      button.addEventListener("click", () => playFrom(Number(button.dataset.at))));
    place();
  }

  if (scapes.length) {
    scapes.forEach(openScape);
    scapeChoice.addEventListener("change", () => showScape(Number(scapeChoice.value)));
    one("#scape-before").addEventListener("click", () => showScape(Number(scapeChoice.value) - 1));
    one("#scape-next").addEventListener("click", () => showScape(Number(scapeChoice.value) + 1));
    showScape(0);
  }

  // Light or dark: as the system has it, until the button is pressed.
  const theme = one("#theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
  const markTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    markTheme();
  });
  prefersDark.addEventListener("change", markTheme);
  markTheme();

  // Where the reader is.
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link, id) => {
        if (id === entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  all("main > section").forEach((section) => watcher.observe(section));

  addEventListener("beforeprint", () => all("details").forEach((box) => { box.open = true; }));
})();
