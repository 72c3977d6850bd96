"use strict";
/* Draws the plan whose data the JSON inside `root` holds. Names come from a model's file: they only ever become text nodes and
   attributes. */
function drawPlan(root) {
  const plan = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const alone = document.querySelectorAll(".plan").length === 1; // the address and the keys of the page belong to it
  const FIXED = ["table", "stack", "code"];
  const OF_STEPS = ["scratch", "lines", "moved"];
  const GUTTER = 64;
  const WIDEST = 140;
  const end = plan.steps.length;
  const columns = end + 2;
  const times = ["before the run", ...plan.steps.map((step) => step.name), "after the run"];
  const byName = new Map(plan.boxes.map((box, index) => [box.name, index]).reverse()); // of copies of a table the one in flash
  const state = { width: 0, taller: 1, step: null, box: null, query: "" };
  let marks = [];
  let drawn = [];

  // --- elements ---

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== undefined && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const count = (n) => n.toLocaleString("en-US");
  const size = (n) => `${count(n)} bytes`;
  const short = (n) =>
    n >= 1e6 ? `${+(n / 1e6).toFixed(n < 1e7 ? 2 : 1)} M` : n >= 1e4 ? `${+(n / 1e3).toFixed(1)} K` : count(n);
  const swatch = (kind) => html("span", { class: `plan-swatch plan-kind-${kind}` });
  const link = (text, act) => html("button", { class: "plan-link", type: "button", click: act }, text);

  // --- head: figures, notes ---

  const search = html("input", {
    type: "search",
    placeholder: "Search names, steps, kernels",
    "aria-label": "Search boxes and steps",
    input: () => find(search.value),
    keydown: (event) => {
      if (event.key === "Enter") chooseFound();
      if (event.key === "Escape") {
        find("");
        root.focus();
      }
    },
  });

  function head() {
    const theme = html("button", { type: "button", title: "light or dark (d)", click: changeTheme }, "Light / dark");
    return html(
      "header",
      { class: "plan-head" },
      html("h1", {}, plan.model, html("span", {}, ` on ${plan.board}, for ${plan.goal}`)),
      search,
      theme,
    );
  }

  function figures() {
    const over = plan.tensor_bytes - plan.bound;
    const time = plan.clock_hz ? `, ${((plan.cycles / plan.clock_hz) * 1e3).toPrecision(3)} ms` : "";
    const guess = plan.estimated_steps ? `, ${plan.estimated_steps} of ${end} steps estimated` : "";
    const budget = (most) => (most === null ? "" : ` of ${count(most)}`);
    const figure = (name, value, words) =>
      html("div", { class: "plan-figure" }, html("span", {}, name), html("b", {}, value), html("span", {}, words));
    const percent = plan.bound ? `buffers take ${((100 * over) / plan.bound).toFixed(1)} % more` : "";
    return html(
      "section",
      { class: "plan-figures", "aria-label": "Figures" },
      figure("RAM", count(plan.ram_bytes) + budget(plan.max_ram), "bytes, tables and stack included"),
      figure("flash", count(plan.flash_bytes) + budget(plan.max_flash), "bytes, code estimated"),
      figure("cycles expected", count(plan.cycles), `an inference${time}${guess}`),
      figure("most alive", count(plan.peak.bytes), `bytes ${plan.peak.when}`),
      figure("buffers", count(plan.tensor_bytes), "bytes of tensors and scratch"),
      figure("bound", count(plan.bound), over > 0 ? percent : "reached: no plan of these steps needs less"),
    );
  }

  function notes() {
    if (!plan.notes.length) return null;
    const lines = plan.notes.map((note) => html("li", {}, note));
    return html("section", { class: "plan-card", "aria-label": "Notes" }, html("ul", { class: "plan-notes" }, ...lines));
  }

  // --- memory over time ---

  const scroll = html("div", {
    class: "plan-scroll",
    pointermove: (event) => hover(columnAt(event)),
    pointerleave: () => hover(null),
  });
  const hovering = html("div", { class: "plan-hover", "aria-hidden": "true" });

  function columnAt(event) {
    const x = event.clientX - scroll.getBoundingClientRect().left + scroll.scrollLeft - GUTTER;
    const column = Math.floor(x / state.width);
    return column >= 0 && column < columns ? column : null;
  }

  const fitting = () => Math.max(1.5, Math.min(WIDEST, (scroll.clientWidth - GUTTER - 2) / columns));
  const x = (time) => (time + 1) * state.width;

  function draw() {
    if (!state.width) state.width = fitting();
    marks = [];
    drawn = [];
    scroll.classList.toggle("plan-narrow", state.width < 7);
    const ram = plan.memories.filter((memory) => memory.holds === "data");
    const most = Math.max(...ram.map((memory) => memory.used), 1);
    const rows = [caption("Bytes alive", "tensors and scratch, at each step", ...areas(ram)), chart(ram)];
    for (const memory of ram) {
      rows.push(caption(memory.name, inMemory(memory)), panel(memory, state.taller * Math.max(150, (400 * memory.used) / most)));
    }
    rows.push(axis());
    for (const memory of plan.memories.filter((memory) => memory.holds === "code")) {
      rows.push(caption(memory.name, `${count(memory.used)} of ${size(memory.bytes)}: code and tables`), panel(memory, state.taller * 220));
    }
    scroll.replaceChildren(...rows);
    showSelection();
  }

  function inMemory(memory) {
    const address = `0x${memory.start.toString(16).padStart(8, "0")}`;
    return `${count(memory.arena)} of ${size(memory.budget)} taken by tensors and scratch; ${size(memory.bytes)} at ${address}`;
  }

  const caption = (name, words, ...more) => html("div", { class: "plan-caption" }, html("b", {}, name), ` ${words}`, ...more);
  const area = (index) => `plan-area-${index % 4}`;

  /* Which color is which memory, where there are several. */
  function areas(ram) {
    const used = ram.filter((memory) => memory.arena);
    if (used.length < 2) return [];
    return used.flatMap((memory) => [" ", html("span", { class: `plan-swatch ${area(ram.indexOf(memory))}` }), memory.name]);
  }

  function row(height, label, ticks, y, ...content) {
    const width = columns * state.width;
    const gutter = svg("svg", { class: "plan-gutter", width: GUTTER, height });
    const picture = svg("svg", { width: width + 2, height, role: "group", "aria-label": label });
    for (const tick of ticks) {
      gutter.append(svg("text", { x: GUTTER - 6, y: y(tick) + 4, "text-anchor": "end" }, count(tick)));
      picture.append(svg("line", { class: "plan-grid", x1: 0, x2: width, y1: y(tick), y2: y(tick) }));
    }
    const mark = (name) => svg("rect", { class: name, y: 0, height, width: 0 });
    const both = { chosen: mark("plan-chosen"), hovered: mark("plan-hovered") };
    marks.push(both);
    picture.append(...content, both.chosen, both.hovered);
    return html("div", { class: "plan-row" }, gutter, picture);
  }

  function ticksTo(most, height) {
    const rough = (most * 28) / height;
    const unit = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= rough) || 10);
    const ticks = [];
    for (let tick = 0; tick <= most; tick += step) ticks.push(tick);
    return ticks;
  }

  function chart(ram) {
    const height = 140;
    const top = 20;
    const most = Math.max(plan.peak.bytes, plan.bound, 1);
    const y = (bytes) => height - 6 - (bytes / most) * (height - 6 - top);
    const below = new Array(columns).fill(0);
    const parts = [];
    ram.forEach((memory, index) => {
      const low = [...below];
      memory.alive.forEach((bytes, column) => (below[column] += bytes));
      let path = "";
      for (let c = 0; c < columns; c++) path += `${c ? "L" : "M"}${c * state.width},${y(below[c])}H${(c + 1) * state.width}`;
      for (let c = columns - 1; c >= 0; c--) path += `L${(c + 1) * state.width},${y(low[c])}H${c * state.width}`;
      parts.push(svg("path", { class: area(index), d: `${path}Z` }, svg("title", {}, memory.name)));
    });
    const width = columns * state.width;
    parts.push(svg("line", { class: "plan-bound", x1: 0, x2: width, y1: y(plan.bound), y2: y(plan.bound) }));
    const middle = x(plan.peak.time) + state.width / 2;
    const right = middle > width / 2;
    parts.push(svg("path", { class: "plan-peak", d: `M${middle - 5},${top - 10}h10l-5,8z` }));
    const words = `${size(plan.peak.bytes)} ${plan.peak.when}`;
    const beside = { x: middle + (right ? -9 : 9), y: top - 3, "text-anchor": right ? "end" : "start" };
    parts.push(svg("text", { ...beside, class: "plan-peak-label" }, words));
    const made = row(height, "bytes alive at each step", ticksTo(most, height - top), y, ...parts);
    made.addEventListener("click", (event) => chooseColumn(columnAt(event)));
    return made;
  }

  function axis() {
    const named = state.width >= 15;
    const longest = Math.max(...times.map((name) => name.length));
    const height = named ? Math.min(150, 12 + longest * 6.2) : 22;
    const every = named ? 1 : [1, 2, 5, 10, 20, 50, 100].find((n) => n * state.width >= 28) || 100;
    const texts = [];
    for (let column = 0; column < columns; column++) {
      const middle = (column + 0.5) * state.width;
      if (named) {
        const turned = { transform: `translate(${middle + 4},4) rotate(-90)`, "text-anchor": "end" };
        texts.push(svg("text", turned, clipped(times[column], 22)));
      } else if ((column - 1) % every === 0 && column > 0 && column <= end) {
        texts.push(svg("text", { x: middle, y: 14, "text-anchor": "middle" }, String(column - 1)));
      }
    }
    const made = row(height, "steps", [], () => 0, ...texts);
    made.addEventListener("click", (event) => chooseColumn(columnAt(event)));
    return made;
  }

  const clipped = (text, most) => (text.length <= most ? text : most < 2 ? "" : `${text.slice(0, most - 1)}…`);

  function panel(memory, height) {
    const y = (bytes) => height - 6 - (bytes / Math.max(memory.used, 1)) * (height - 12);
    const groups = [];
    plan.boxes.forEach((box, index) => {
      if (box.memory !== memory.name) return;
      const group = drawBox(box, index, y);
      drawn[index] = group;
      groups.push(group);
    });
    const made = row(height, memory.name, ticksTo(memory.used, height), y, ...groups);
    made.addEventListener("click", (event) => {
      if (!event.target.closest(".plan-box")) chooseColumn(columnAt(event));
    });
    return made;
  }

  function drawBox(box, index, y) {
    const left = x(box.first);
    const width = x(box.last + 1) - left;
    const top = y(box.offset + box.size);
    const height = Math.max(y(box.offset) - top, 0.5);
    const shape = { x: left, y: top, width, height, rx: Math.min(3, height / 3, width / 3), class: `plan-kind-${box.kind}` };
    const group = svg("g", {
      class: "plan-box",
      "data-box": index,
      role: "img",
      "aria-label": `${box.kind} ${box.name}, ${size(box.size)}`,
      click: () => chooseBox(index),
    });
    group.append(svg("title", {}, `${box.name}\n${box.kind}, ${size(box.size)}, ${box.about}\n${life(box)}`));
    group.prepend(svg("rect", shape));
    if (box.kind === "table") {
      for (const step of box.read_by) {
        group.append(svg("rect", { class: "plan-use", x: x(step), y: top, width: state.width, height }));
      }
    }
    for (const name of box.over) slides(box, plan.boxes[byName.get(name)], y, group);
    const [from, to] = free(box);
    label(box, x(from), top, x(to) - x(from), height, group);
    return group;
  }

  /* Where an output is written over what dies: hatched. */
  function slides(box, other, y, group) {
    const low = Math.max(box.offset, other.offset);
    const high = Math.min(box.offset + box.size, other.offset + other.size);
    const top = y(high);
    const bottom = y(low);
    const left = x(box.first);
    for (let at = top + 3; at < bottom - 1; at += 6) {
      group.append(svg("line", { class: "plan-slide", x1: left + 1, x2: left + state.width - 1, y1: at + 2, y2: at - 2 }));
    }
  }

  /* Names are longer than boxes: what fits is the whole name, else the step's that writes it, else the size. It stands where nothing
     else is drawn: not where another box is written over this one. */
  function label(box, left, top, width, height, group) {
    const LETTER = 6.4;
    const upright = height > width && height >= 40 && width >= 14 && width < 90;
    const [along, across] = upright ? [height, width] : [width, height];
    const most = Math.floor((along - 8) / LETTER);
    if (across < 13 || most < 3) return;
    const step = box.made_by.length ? plan.steps[box.made_by[0]].name : box.name;
    const part = OF_STEPS.includes(box.kind) ? box.name.slice(step.length + 1) : step;
    const bytes = count(box.size);
    const named = box.made_by.length > 0 || FIXED.includes(box.kind); // what no step writes has but its own name
    const fits = (named ? [box.name, part, bytes] : [box.name]).find((text) => text.length <= most);
    const name = fits || (OF_STEPS.includes(box.kind) ? "" : clipped(part, most));
    if (name.length < 3) return;
    const more = name !== bytes && bytes.length <= most;
    const lines = more && across >= 28 ? [name, bytes] : more && name.length + bytes.length + 2 <= most ? [`${name}  ${bytes}`] : [name];
    const place = `translate(${left + width / 2},${top + height / 2})`;
    const attributes = { transform: upright ? `${place} rotate(-90)` : place, "text-anchor": "middle" };
    lines.forEach((line, n) => {
      group.append(svg("text", { ...attributes, y: 4 + (n - (lines.length - 1) / 2) * 13 }, line));
    });
  }

  /* From where to where the label of a box may stand: beside the marks of the steps that read a table, and without the steps in which
     it shares its bytes. */
  function free(box) {
    if (box.kind === "table") {
      const [first, last] = [Math.min(...box.read_by), Math.max(...box.read_by)];
      return first + 1 > end - last ? [-1, first] : [last + 1, end + 1];
    }
    const covered = plan.boxes.some((other) => other.over.includes(box.name) && other.first === box.last);
    const [from, to] = [box.first + (box.over.length ? 1 : 0), box.last + (covered ? 0 : 1)];
    return [from, Math.max(from, to)];
  }

  const when = (time) => (time < 0 ? "before the run" : time >= end ? "after the run" : `${time} ${plan.steps[time].name}`);
  const life = (box) => (box.first === box.last ? `only at ${when(box.first)}` : `${when(box.first)} to ${when(box.last)}`);
  const aliveAt = (column) => plan.memories.reduce((sum, memory) => sum + memory.alive[column], 0);

  function hover(column) {
    for (const { hovered } of marks) {
      hovered.setAttribute("x", column === null ? 0 : column * state.width);
      hovered.setAttribute("width", column === null ? 0 : state.width);
    }
    hovering.textContent = column === null ? "" : `${when(column - 1)}: ${size(aliveAt(column))} alive`;
  }

  // --- what is chosen ---

  const side = html("aside", { class: "plan-card plan-side", "aria-live": "polite", "aria-label": "Details" });

  function chooseColumn(column) {
    if (column !== null) choose({ step: column - 1 });
  }
  const chooseBox = (index) => choose({ box: index });

  function choose({ step = null, box = null }) {
    state.step = step;
    state.box = box;
    showSelection();
    if (alone) writeAddress();
    bringIntoSight();
  }

  function bringIntoSight() {
    const time = state.step !== null ? state.step : state.box !== null ? plan.boxes[state.box].first : null;
    if (time === null) return;
    const left = x(time);
    if (left < scroll.scrollLeft || left + state.width > scroll.scrollLeft + scroll.clientWidth - GUTTER) {
      scroll.scrollLeft = left - (scroll.clientWidth - GUTTER) / 2;
    }
  }

  function showSelection() {
    for (const { chosen } of marks) {
      chosen.setAttribute("x", state.step === null ? 0 : x(state.step));
      chosen.setAttribute("width", state.step === null ? 0 : state.width);
    }
    drawn.forEach((group, index) => {
      group.classList.toggle("plan-on", index === state.box);
      group.classList.toggle("plan-dim", state.query !== "" && !found(index));
    });
    stepRows.forEach((line, number) => {
      line.classList.toggle("plan-on", number === state.step);
      line.classList.toggle("plan-dim", state.query !== "" && !matches(stepText(number)));
    });
    side.replaceChildren(...details());
    bandsCard.replaceChildren(...bandsOf(plan.steps[state.step]));
    bandsCard.hidden = !bandsCard.hasChildNodes();
  }

  function details() {
    if (state.box !== null) return boxDetails(plan.boxes[state.box]);
    if (state.step !== null && state.step >= 0 && state.step < end) return stepDetails(state.step);
    if (state.step !== null) return momentDetails(state.step);
    if (state.query !== "") return foundDetails();
    return [
      html("h2", {}, `Most is alive ${plan.peak.when}`),
      html("p", {}, `${size(plan.peak.bytes)}, of which:`),
      boxList(plan.peak.parts.map((part) => byName.get(part.name))),
      html("h3", {}, "Keys"),
      ...[
        ["← →", "a step back, a step on"],
        ["↑ ↓", "through the boxes alive at a step"],
        ["p", "to the peak"],
        ["/", "search, Enter: next one found"],
        ["+ - 0", "wider, narrower, as wide as the page"],
        ["t", "taller"],
        ["d", "light or dark"],
        ["Esc", "nothing chosen"],
      ].map(([key, words]) => html("p", {}, html("kbd", {}, key), ` ${words}`)),
    ];
  }

  function listed(pairs) {
    const some = pairs.filter(([, value]) => value !== "" && value !== null);
    return html("dl", {}, ...some.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));
  }

  function boxList(indices) {
    const items = indices.map((index) => {
      const box = plan.boxes[index];
      const name = box.name.length > 46 ? `${box.name.slice(0, 45)}…` : box.name;
      return html("li", {}, swatch(box.kind), link(name, () => chooseBox(index)), html("span", {}, `${count(box.size)}${where(box)}`));
    });
    return html("ul", { class: "plan-boxes" }, ...items);
  }

  const where = (box) => (severalRams && box.memory ? ` ${box.memory}` : "");
  const severalRams = plan.memories.filter((memory) => memory.arena).length > 1;
  const stepLinks = (numbers) =>
    html("ul", {}, ...numbers.map((n) => html("li", {}, link(when(n), () => choose({ step: n })))));

  function boxDetails(box) {
    const start = plan.memories.find((memory) => memory.name === box.memory).start;
    const fixed = FIXED.includes(box.kind);
    return [
      html("h2", {}, swatch(box.kind), box.kind),
      html("p", {}, html("code", {}, box.name)),
      ...box.also.map((name) => html("p", { class: "plan-soft" }, "also ", html("code", {}, name))),
      listed([
        ["size", size(box.size)],
        ["what", box.about],
        ["memory", box.memory],
        [fixed ? "drawn at" : "buffer", `${count(box.offset)} to ${count(box.offset + box.size)}`],
        ["life", life(box)],
        ["memory at", `0x${start.toString(16).padStart(8, "0")}`],
      ]),
      ...section(box.kind === "moved" ? "Moved while" : "Written by", box.made_by),
      ...section("Read by", box.kind === "scratch" || box.kind === "lines" ? [] : box.read_by),
      ...box.over.flatMap((name) => writtenOver(box, byName.get(name))),
    ];
  }

  function writtenOver(box, index) {
    const before = plan.boxes[index].offset - box.offset;
    const how = before > 0 ? `, beginning ${size(before)} before it` : before < 0 ? `, ${size(-before)} behind its beginning` : ", in place";
    return [html("h3", {}, `Written over${how}`), boxList([index])];
  }

  const section = (title, numbers) => (numbers.length ? [html("h3", {}, title), stepLinks(numbers)] : []);

  function stepDetails(number) {
    const step = plan.steps[number];
    const indices = plan.boxes.map((_, index) => index);
    const ofStep = (kind) => indices.filter((i) => plan.boxes[i].kind === kind && plan.boxes[i].first === number);
    const [mine, lines, leaving] = [ofStep("scratch"), ofStep("lines"), ofStep("moved")];
    const arrived = indices.filter((i) => plan.boxes[i].kind === "moved" && plan.boxes[i].last === number);
    const tables = indices.filter((i) => plan.boxes[i].kind === "table" && plan.boxes[i].read_by.includes(number));
    const waiting = aliveBoxes(number).filter(
      (i) => ![mine, lines, leaving, arrived].flat().includes(i) && !step.reads.includes(plan.boxes[i].name) && !step.writes.includes(plan.boxes[i].name),
    );
    const lists = [
      ["Reads", step.reads.map((name) => byName.get(name))],
      ["Writes", step.writes.map((name) => byName.get(name))],
      ["Line buffers", lines],
      ["Scratch", mine],
      ["Tables that have been moved here", arrived],
      ["Tables under way for the next step", leaving],
      ["Alive for later steps", waiting],
      [`Tables, ${size(step.table_bytes)}${step.tables_in_ram ? ", copied to RAM" : ""}`, tables],
    ];
    const levels = plan.memories
      .filter((memory) => memory.alive[number + 1])
      .map((memory) => [`alive in ${memory.name}`, size(memory.alive[number + 1])]);
    return [
      html("h2", {}, `${number} ${step.name}`),
      html("p", { class: "plan-soft" }, step.origin),
      listed([
        ["operator", step.op],
        ["computed by", step.implementation],
        ["schedule", html("code", {}, step.schedule)],
        ["kernels", html("span", {}, ...step.kernels.map((name) => html("code", { class: "plan-line" }, name)))],
        ["cycles", `${step.estimated ? "about " : ""}${count(step.cycles)}`],
        ["MACs", step.macs ? count(step.macs) : ""],
        ["alive", size(step.alive)],
        ...(levels.length > 1 ? levels : []),
      ]),
      ...lists.flatMap(([title, some]) => (some.length ? [html("h3", {}, title), boxList(some)] : [])),
    ];
  }

  function momentDetails(time) {
    return [
      html("h2", {}, time < 0 ? "Before the run" : "After the run"),
      html("p", {}, time < 0 ? "Inputs are written, states are kept." : "Outputs are read, states are kept."),
      html("p", {}, `${size(aliveAt(time + 1))} alive:`),
      boxList(aliveBoxes(time)),
    ];
  }

  function aliveBoxes(time) {
    const alive = (box) => !FIXED.includes(box.kind) && box.first <= time && time <= box.last;
    const indices = plan.boxes.map((_, index) => index).filter((index) => alive(plan.boxes[index]));
    const place = (index) => plan.memories.findIndex((memory) => memory.name === plan.boxes[index].memory);
    return indices.sort((a, b) => place(a) - place(b) || plan.boxes[b].offset - plan.boxes[a].offset);
  }

  // --- a run of ops in bands ---

  const bandsCard = html("section", { class: "plan-card", "aria-label": "Bands of the chosen step" });

  /* Kernel calls from left to right: which rows of which op each computes, and below where it reads and writes. */
  function bandsOf(step) {
    if (!step || !step.bands.length) return [];
    const [moves, arrivals] = ["moves", "arrives"].map((deed) => step.bands.filter((band) => band.deed === deed).length);
    const last = step.bands.filter((band) => band.lane === step.lanes.length - 1);
    const words =
      `${count(last.length)} bands of up to ${count(Math.max(...last.map((band) => band.stop - band.first)))} rows of the result, ` +
      `${count(step.bands.length - arrivals)} kernel calls, of which ${count(moves)} move rows that are needed again` +
      (arrivals ? `; rows of the input arrive ${count(arrivals)} times` : "");
    const width = Math.max(3, Math.min(40, (root.clientWidth - 80 - GUTTER) / step.bands.length));
    const touched = new Set(step.bands.flatMap((band) => [...band.reads, ...band.writes]).map((part) => byName.get(part.box)));
    const maps = plan.memories
      .map((memory) => [memory, [...touched].filter((index) => plan.boxes[index].memory === memory.name)])
      .filter(([, indices]) => indices.length);
    return [
      html("h2", {}, `${step.name}: ${step.op} in bands`),
      html("p", { class: "plan-soft" }, words),
      html(
        "div",
        { class: "plan-legend" },
        ...[["written", "computes and writes"], ["moved", "moves"], ["arrived", "arrives"], ["read", "reads"]].map(([kind, word]) =>
          kind === "arrived" && !arrivals ? null : html("span", {}, html("span", { class: `plan-swatch plan-${kind}` }), word),
        ),
      ),
      html(
        "div",
        { class: "plan-scroll" },
        ...step.lanes.flatMap((words, number) => [html("div", { class: "plan-caption" }, `rows of ${clipped(words, 110)}`), lane(step, number, width)]),
        ...maps.flatMap(([memory, indices]) => [
          html("div", { class: "plan-caption" }, html("b", {}, memory.name), " what each call reads and writes"),
          addresses(step, indices, width),
        ]),
      ),
    ];
  }

  const tip = (step, band, n) =>
    svg("title", {}, `${n}: rows ${band.first} to ${band.stop - 1} of ${step.lanes[band.lane]}: ${band.deed}\n${band.kernel}`);
  const DEEDS = { computes: "plan-written", moves: "plan-moved", arrives: "plan-arrived" };

  function lane(step, number, width) {
    const height = 20;
    const picture = svg("svg", { width: GUTTER + step.bands.length * width + 2, height, role: "img" });
    step.bands.forEach((band, n) => {
      if (band.lane !== number) return;
      const rows = band.stop - band.first === 1 ? String(band.first) : `${band.first}–${band.stop - 1}`;
      const shape = { x: GUTTER + n * width, y: 1, width: Math.max(width - 1, 1), height: height - 2, rx: 2 };
      const group = svg("g", { class: "plan-call" }, tip(step, band, n), svg("rect", { ...shape, class: DEEDS[band.deed] }));
      const label = [rows, String(band.first)].find((text) => text.length * 6.4 <= width - 2);
      if (label) group.append(svg("text", { x: shape.x + shape.width / 2, y: 14, "text-anchor": "middle" }, label));
      picture.append(group);
    });
    return picture;
  }

  function addresses(step, indices, width) {
    const boxes = indices.map((index) => plan.boxes[index]);
    const low = Math.min(...boxes.map((box) => box.offset));
    const high = Math.max(...boxes.map((box) => box.offset + box.size));
    const height = 260;
    const y = (bytes) => height - 6 - ((bytes - low) / (high - low)) * (height - 12);
    const right = GUTTER + step.bands.length * width;
    const picture = svg("svg", { width: right + 2, height, role: "img", "aria-label": "addresses that each call touches" });
    for (const tick of ticksTo(high, (height * high) / (high - low)).filter((tick) => tick >= low)) {
      picture.append(svg("text", { x: GUTTER - 6, y: y(tick) + 4, "text-anchor": "end" }, count(tick)));
      picture.append(svg("line", { class: "plan-grid", x1: GUTTER, x2: right, y1: y(tick), y2: y(tick) }));
    }
    for (const box of boxes) {
      const shape = { x: GUTTER, y: y(box.offset + box.size), width: right - GUTTER, height: y(box.offset) - y(box.offset + box.size) };
      picture.append(svg("rect", { ...shape, class: `plan-faint plan-kind-${box.kind}` }, svg("title", {}, `${box.name}\n${box.kind}, ${size(box.size)}`)));
    }
    step.bands.forEach((band, n) => {
      const part = (touched, kind) => {
        const box = plan.boxes[byName.get(touched.box)];
        if (!boxes.includes(box)) return;
        const from = box.offset + touched.offset;
        const shape = { x: GUTTER + n * width, y: y(from + touched.size), width: Math.max(width - 1, 1), height: Math.max(y(from) - y(from + touched.size), 1) };
        picture.append(svg("rect", { ...shape, class: kind }, tip(step, band, n)));
      };
      for (const touched of band.reads) part(touched, "plan-read");
      for (const touched of band.writes) part(touched, DEEDS[band.deed]);
    });
    return picture;
  }

  // --- search ---

  const matches = (text) => state.query.split(/\s+/).every((word) => text.includes(word));
  const stepText = (number) => {
    const step = plan.steps[number];
    return [step.name, step.op, step.origin, step.implementation, step.schedule, ...step.kernels, ...step.lanes].join(" ").toLowerCase();
  };
  function found(index) {
    const box = plan.boxes[index];
    const users = new Set([...box.made_by, ...box.read_by]);
    const steps = [...users].map((number) => plan.steps[number].name);
    return matches([box.name, ...box.also, box.kind, box.about, ...steps].join(" ").toLowerCase());
  }

  function find(query) {
    search.value = query;
    state.query = query.trim().toLowerCase();
    choose({});
  }

  const foundBoxes = () => plan.boxes.map((_, index) => index).filter(found);

  function foundDetails() {
    const boxes = foundBoxes();
    const steps = plan.steps.map((_, number) => number).filter((number) => matches(stepText(number)));
    return [
      html("h2", {}, `${count(boxes.length)} of ${count(plan.boxes.length)} boxes, ${count(steps.length)} of ${count(end)} steps`),
      ...section("Steps", steps.slice(0, 50)),
      ...(boxes.length ? [html("h3", {}, "Boxes"), boxList(boxes.slice(0, 50))] : []),
    ];
  }

  function chooseFound() {
    const boxes = foundBoxes();
    if (boxes.length) chooseBox(boxes[(boxes.indexOf(state.box) + 1) % boxes.length]);
  }

  // --- tables: steps, what budgets buy ---

  const stepRows = [];

  function stepsTable() {
    const most = Math.max(...plan.steps.map((step) => step.cycles), 1);
    plan.steps.forEach((step, number) => {
      const cell = (text, numeric) => html("td", numeric ? { class: "plan-number" } : {}, text);
      const share = svg("svg", { width: 80, height: 10 }, svg("rect", { class: "plan-share", width: (80 * step.cycles) / most, height: 10, rx: 2 }));
      stepRows.push(
        html(
          "tr",
          {
            tabindex: 0,
            click: () => choose({ step: number }),
            keydown: (event) => event.key === "Enter" && choose({ step: number }),
          },
          cell(String(number), true),
          cell(step.name),
          cell(`${step.implementation} ${step.schedule}`),
          cell(`${step.estimated ? "~" : ""}${count(step.cycles)}`, true),
          html("td", {}, share),
          cell(step.macs ? count(step.macs) : "-", true),
          cell(count(step.alive), true),
          cell(step.scratch_bytes ? count(step.scratch_bytes) : "-", true),
          cell(step.table_bytes ? count(step.table_bytes) : "-", true),
        ),
      );
    });
    const heads = ["#", "step", "computed by", "cycles", "", "MACs", "alive", "scratch", "tables"];
    return html(
      "section",
      { class: "plan-card" },
      html("h2", {}, "Steps"),
      html("div", { class: "plan-table" }, grid(heads, [0, 3, 5, 6, 7, 8], stepRows)),
    );
  }

  function grid(heads, numeric, rows) {
    const head = heads.map((name, n) => html("th", numeric.includes(n) ? { class: "plan-number" } : {}, name));
    return html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...rows));
  }

  function budgets() {
    if (!plan.points.length) return null;
    const number = (value) => html("td", { class: "plan-number" }, value);
    const rows = plan.points.map((point) => {
      const cycles = `${point.estimated ? "~" : ""}${count(point.cycles)}`;
      return html("tr", {}, number(count(point.ram_bytes)), number(count(point.resident_bytes)), number(count(point.flash_bytes)), number(cycles));
    });
    return html(
      "section",
      { class: "plan-card" },
      html("h2", {}, "What each budget would buy"),
      html(
        "div",
        { class: "plan-columns" },
        html("div", {}, tradeOffs(), html("p", { class: "plan-soft" }, "Each dot is a plan; the red one is this plan.")),
        grid(["RAM", "of which tables", "flash", "cycles"], [0, 1, 2, 3], rows),
      ),
    );
  }

  function tradeOffs() {
    const [width, height, left, bottom] = [520, 240, 64, 34];
    const now = { ram_bytes: plan.ram_bytes, flash_bytes: plan.flash_bytes, cycles: plan.cycles };
    const all = [...plan.points, now];
    const scale = (key, from, to) => {
      const values = all.map((point) => point[key]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = (high - low || high) * 0.08;
      return { at: (v) => from + ((v - low + room) / (high - low + 2 * room)) * (to - from), low, high };
    };
    const across = scale("ram_bytes", left, width - 10);
    const up = scale("cycles", height - bottom, 10);
    const stairs = [...plan.points].sort((a, b) => a.ram_bytes - b.ram_bytes);
    let best = Infinity;
    let path = "";
    for (const point of stairs) {
      if (point.cycles >= best) continue;
      path += path ? `H${across.at(point.ram_bytes)}V${up.at(point.cycles)}` : `M${across.at(point.ram_bytes)},${up.at(point.cycles)}`;
      best = point.cycles;
    }
    const dots = all.map((point) => {
      const words = `${size(point.ram_bytes)} of RAM, ${size(point.flash_bytes)} of flash, ${count(point.cycles)} cycles`;
      const kind = point === now ? "plan-point plan-now" : "plan-point";
      return svg("circle", { class: kind, cx: across.at(point.ram_bytes), cy: up.at(point.cycles), r: 5 }, svg("title", {}, words));
    });
    const ends = (from, key) => (from.low === from.high ? [from.low] : [from.low, from.high]).map(key);
    return svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": "cycles against RAM" },
      svg("path", { class: "plan-axis", fill: "none", d: `M${left},10V${height - bottom}H${width - 10}` }),
      svg("path", { class: "plan-stairs", d: path }),
      ...ends(across, (v) => svg("text", { x: across.at(v), y: height - bottom + 15, "text-anchor": "middle" }, short(v))),
      ...ends(up, (v) => svg("text", { x: left - 6, y: up.at(v) + 4, "text-anchor": "end" }, short(v))),
      svg("text", { x: width - 10, y: height - 4, "text-anchor": "end" }, "bytes of RAM"),
      svg("text", { x: left + 6, y: 14 }, "cycles"),
      ...dots,
    );
  }

  // --- keys, theme, address ---

  function changeTheme() {
    const dark = getComputedStyle(root).getPropertyValue("color-scheme").trim();
    const now = dark === "dark" || (dark !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    theme(now ? "light" : "dark");
  }
  const theme = (name) => ((alone ? document.documentElement : root).style.colorScheme = name);

  function zoom(factor) {
    const middle = (scroll.scrollLeft + (scroll.clientWidth - GUTTER) / 2) / state.width;
    state.width = factor ? Math.max(3, Math.min(WIDEST, state.width * factor)) : fitting();
    draw();
    scroll.scrollLeft = middle * state.width - (scroll.clientWidth - GUTTER) / 2;
    bringIntoSight();
  }

  function taller() {
    state.taller = state.taller < 4 ? 2 * state.taller : 1;
    draw();
  }

  function move(by) {
    const from = state.step !== null ? state.step : state.box !== null ? plan.boxes[state.box].first : plan.peak.time - by;
    choose({ step: Math.max(-1, Math.min(end, from + by)) });
  }

  function through(by) {
    const time = state.step !== null ? state.step : state.box !== null ? plan.boxes[state.box].first : plan.peak.time;
    const boxes = aliveBoxes(time);
    if (!boxes.length) return;
    const at = boxes.indexOf(state.box);
    chooseBox(boxes[at < 0 ? 0 : (at + by + boxes.length) % boxes.length]);
  }

  const KEYS = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    ArrowUp: () => through(-1),
    ArrowDown: () => through(1),
    Home: () => choose({ step: -1 }),
    End: () => choose({ step: end }),
    p: () => choose({ step: plan.peak.time }),
    "/": () => search.focus(),
    "+": () => zoom(1.4),
    "=": () => zoom(1.4),
    "-": () => zoom(1 / 1.4),
    0: () => zoom(0),
    t: taller,
    d: changeTheme,
    Escape: () => find(""),
  };

  (alone ? document : root).addEventListener("keydown", (event) => {
    const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    if (!act || event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  function writeAddress() {
    const parts = new URLSearchParams();
    if (state.query) parts.set("q", state.query);
    if (state.step !== null) parts.set("step", state.step >= 0 && state.step < end ? plan.steps[state.step].name : when(state.step));
    if (state.box !== null) parts.set("box", plan.boxes[state.box].name);
    const address = parts.toString();
    if (address !== location.hash.slice(1)) history.replaceState(null, "", address ? `#${address}` : "#");
  }

  /* #step=NAME, #box=NAME, #q=WORDS, #theme=dark; several with & */
  function readAddress() {
    const parts = new URLSearchParams(location.hash.slice(1));
    if (parts.has("theme")) theme(parts.get("theme") === "dark" ? "dark" : "light");
    search.value = parts.get("q") || "";
    state.query = search.value.trim().toLowerCase();
    const step = times.indexOf(parts.get("step"));
    const box = byName.get(parts.get("box"));
    state.step = step < 0 ? null : step - 1;
    state.box = box === undefined ? null : box;
    showSelection();
    bringIntoSight();
  }

  // --- all together ---

  function legend() {
    const words = {
      input: "input",
      output: "output",
      state: "state, kept from run to run",
      tensor: "tensor",
      lines: "line buffer of a run in bands",
      scratch: "scratch of a step",
      moved: "table moved by a DMA",
      table: "table, dark where it is read",
      stack: "stack and data",
      code: "code",
    };
    const used = new Set(plan.boxes.map((box) => box.kind));
    const kinds = Object.keys(words).filter((kind) => used.has(kind));
    return html("div", { class: "plan-legend" }, ...kinds.map((kind) => html("span", {}, swatch(kind), words[kind])));
  }

  const button = (text, words, act) => html("button", { type: "button", title: words, "aria-label": words, click: act }, text);
  root.tabIndex = -1;
  root.append(
    ...[
      head(),
      figures(),
      notes(),
      html(
        "div",
        { class: "plan-work" },
        html(
          "section",
          { class: "plan-card", "aria-label": "Memory over time" },
          html(
            "div",
            { class: "plan-bar" },
            legend(),
            html(
              "div",
              { class: "plan-tools" },
              button("−", "narrower (-)", () => zoom(1 / 1.4)),
              button("+", "wider (+)", () => zoom(1.4)),
              button("fit", "as wide as the page (0)", () => zoom(0)),
              button("taller", "taller, up to four times (t)", taller),
              button("peak", "to the peak (p)", () => choose({ step: plan.peak.time })),
            ),
          ),
          hovering,
          scroll,
        ),
        side,
      ),
      bandsCard,
      budgets(),
      stepsTable(),
    ].filter((part) => part !== null),
  );
  draw();
  if (alone) {
    readAddress();
    addEventListener("hashchange", readAddress);
  }
  addEventListener("resize", () => zoom(0));
}
