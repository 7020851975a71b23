"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const { key, clips, species, seconds, name } = JSON.parse(one("#data").textContent);
  const audio = one("#audio");
  const search = one("#search");
  const words = { y: "present", n: "absent", u: "unsure" };
  const reading = (code) => species[code]?.[0] ?? code;
  let answers = clips.map(() => ({ verdict: "", others: [] }));
  let at = 0;

  // Every change is kept in the browser at once, and found again when the page is opened.
  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept?.length === clips.length) answers = kept;
    } catch { /* a browser that keeps nothing */ }
  }

  function save() {
    let kept = "Verdicts are kept in this browser; download them when you are done.";
    try {
      localStorage.setItem(key, JSON.stringify(answers));
    } catch {
      kept = "This browser keeps nothing: download the verdicts before you close the page.";
    }
    one("#saved").textContent = kept;
    showProgress();
  }

  function made(tag, text, settings = {}) {
    const element = Object.assign(document.createElement(tag), settings);
    element.textContent = text;
    return element;
  }

  function buttons(list, entries) {
    list.replaceChildren(...entries.map(([text, label, action]) => {
      const item = made("li", "");
      const button = made("button", text, { type: "button", onclick: action });
      button.setAttribute("aria-label", label);
      item.append(button);
      return item;
    }));
  }

  function showProgress() {
    const count = (verdict) => answers.filter((answer) => answer.verdict === verdict).length;
    const done = clips.length - count("");
    one("#progress").value = done;
    one("#counts").textContent = `${done} of ${clips.length}: ` +
      Object.entries(words).map(([verdict, word]) => `${count(verdict)} ${word}`).join(", ");
    [...one("#strip").children].forEach((item, i) => {
      const verdict = answers[i].verdict;
      const button = item.firstChild;
      button.className = verdict;
      button.textContent = verdict.toUpperCase() || String(i + 1);
      button.setAttribute("aria-label", `Clip ${i + 1}: ${words[verdict] ?? "no verdict"}`);
      button.setAttribute("aria-current", String(i === at));
    });
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === answers[at].verdict));
    }
    const others = answers[at].others;
    buttons(one("#others"), others.map((code) =>
      [`${reading(code)} ×`, `Remove ${reading(code)}`, () => remove(code)]));
    showMatches();
  }

  function showTimes(clip) {
    const svg = one("#times");
    svg.replaceChildren();
    const step = one(".picture").clientWidth / (clip.last - clip.first) < 40 ? 2 : 1;
    for (let time = Math.ceil(clip.first); time <= clip.last; time += step) {
      const place = (100 * (time - clip.first)) / (clip.last - clip.first);
      const line = document.createElementNS(svg.namespaceURI, "line");
      Object.entries({ class: "axis", x1: `${place}%`, x2: `${place}%`, y1: 0, y2: 4 })
        .forEach(([field, value]) => line.setAttribute(field, value));
      const text = document.createElementNS(svg.namespaceURI, "text");
      const anchor = place < 2 ? "start" : place > 96 ? "end" : "middle";
      Object.entries({ class: "tick", x: `${place}%`, y: 16, "text-anchor": anchor })
        .forEach(([field, value]) => text.setAttribute(field, value));
      text.textContent = time + step > clip.last ? `${time} s` : String(time);
      svg.append(line, text);
    }
  }

  function show(index) {
    at = Math.min(Math.max(index, 0), clips.length - 1);
    const clip = clips[at];
    const length = clip.last - clip.first;
    const [common, scientific] = species[clip.code] ?? [clip.code, ""];
    one("#species").textContent = `${common}?`;
    const facts = [
      scientific === common ? "" : scientific, clip.code === common ? "" : clip.code,
      clip.probability === null ? "" : `probability ${clip.probability.toFixed(2)}`, clip.reason,
      `${clip.file}, ${clip.begin} to ${clip.begin + seconds} s`, clip.site && `site ${clip.site}`, clip.time,
    ];
    one("#facts").replaceChildren(...facts.filter(Boolean).map((fact) => made("span", fact)));
    one("#image").src = clip.image;
    one("#image").alt = `Spectrogram of ${clip.file}, ${clip.first} to ${clip.last} s, 50 Hz to 14 kHz`;
    one("#before").style.width = `${(100 * (clip.begin - clip.first)) / length}%`;
    one("#after").style.width = `${Math.max((100 * (clip.last - clip.begin - seconds)) / length, 0)}%`;
    audio.src = clip.audio;
    search.value = "";
    showTimes(clip);
    showProgress();
    placeHead();
  }

  function go(index) {
    show(index);
    audio.play().catch(() => {}); // a browser may want a click first
  }

  function judge(verdict) {
    answers[at].verdict = verdict;
    save();
    if (at < clips.length - 1) go(at + 1);
  }

  // Another species: what was typed begins a name or code first, or is within one.
  function matches() {
    const wanted = search.value.trim().toLowerCase();
    const isNew = (code) => !answers[at].others.includes(code);
    if (!wanted) return clips[at].likely.filter(isNew);
    const rank = (code) => {
      const texts = [code, ...species[code]].map((text) => text.toLowerCase());
      return texts.some((text) => text.startsWith(wanted)) ? 0 : texts.some((text) => text.includes(wanted)) ? 1 : 2;
    };
    const codes = Object.keys(species).map((code) => [rank(code), code])
      .filter(([place, code]) => place < 2 && isNew(code));
    return codes.sort((a, b) => a[0] - b[0]).slice(0, 8).map(([, code]) => code);
  }

  function showMatches() {
    buttons(one("#matches"), matches().map((code) =>
      [`+ ${reading(code)}`, `Add ${reading(code)}`, () => add(code)]));
  }

  function add(code) {
    if (code === clips[at].code) answers[at].verdict = "y";
    else if (!answers[at].others.includes(code)) answers[at].others.push(code);
    leaveSearch();
    save();
  }

  function leaveSearch() {
    search.value = "";
    search.blur();
    showMatches();
  }

  function remove(code) {
    answers[at].others = answers[at].others.filter((other) => other !== code);
    save();
  }

  // A row a window and species, as Perch hoplite has it; what one is unsure of has none.
  function table() {
    const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const rows = clips.flatMap((clip, i) => {
      const kinds = { y: [[clip.code, "positive"]], n: [[clip.code, "negative"]] };
      const heard = answers[i].others.map((code) => [code, "positive"]);
      return [...(kinds[answers[i].verdict] ?? []), ...heard].map(([code, kind]) =>
        [clip.file, String(clip.begin), code, kind].map(cell).join(","));
    });
    return ["filename,window_offset_s,label,label_type", ...rows, ""].join("\n");
  }

  function download() {
    const address = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
    made("a", "", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  // The sound, and where it is in the picture.
  function placeHead() {
    const share = Math.min(audio.currentTime / (clips[at].last - clips[at].first), 1);
    one("#head").style.left = `calc(var(--gutter) + (100% - var(--gutter)) * ${share})`;
    if (!audio.paused) requestAnimationFrame(placeHead);
  }

  function toggle() {
    if (audio.paused) audio.play();
    else audio.pause();
  }

  const keys = {
    y: () => judge("y"), n: () => judge("n"), u: () => judge("u"), d: download, " ": toggle,
    a: () => search.focus(), ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1),
  };
  addEventListener("keydown", (event) => {
    if (event.target === search) {
      if (event.key === "Escape") leaveSearch();
      if (event.key === "Enter" && matches().length) add(matches()[0]);
      return;
    }
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  ["play", "seeked", "timeupdate", "pause"].forEach((event) => audio.addEventListener(event, placeHead));
  search.addEventListener("input", showMatches);
  one(".picture").addEventListener("click", (event) => {
    const box = one(".picture").getBoundingClientRect();
    audio.currentTime = ((event.clientX - box.left) / box.width) * (clips[at].last - clips[at].first);
    audio.play();
  });
  document.querySelectorAll("[data-verdict]").forEach((button) =>
    button.addEventListener("click", () => judge(button.dataset.verdict)));
  [["#back", () => go(at - 1)], ["#next", () => go(at + 1)], ["#play", toggle], ["#download", download]]
    .forEach(([button, action]) => one(button).addEventListener("click", action));
  addEventListener("resize", () => showTimes(clips[at]));

  load();
  buttons(one("#strip"), clips.map((clip, i) => [String(i + 1), `Clip ${i + 1}`, () => go(i)]));
  show(Math.max(answers.findIndex((answer) => answer.verdict === ""), 0));
  save();
})();
