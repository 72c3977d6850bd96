"""`smelt plan`: what it says of memory over time, and its page, in a browser."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import smelt
from smelt.cli import main
from smelt.compile import Compilation
from smelt.importers import load
from smelt.passes import prepare
from smelt.planner import TuningLog, make_plan
from smelt.planner.evidence import Evidence
from smelt.planner.known import Known
from smelt.planner.peak import Part, Peak
from smelt.planner.predict import Predictor
from smelt.planner.staging import staged
from smelt.planner.tradeoff import Point
from smelt.report.plan_chart import chart
from smelt.report.plan_page import plan_element, plan_page
from smelt.report.plan_view import Box, MemoryView, PlanView, StepView, bytes_of, look, plan_view
from smelt.targets.boards import DISCO_F746NG, NUCLEO_L4R5ZI, board
from tests.browser import browser
from tests.importer_cases import relu_chain
from tests.paths import AD, HELLO, IC, KWS
from tests.test_bands import planned
from tests.test_feed import ROWS, camera
from tests.test_moves import with_flash

HOSTILE = "</script><script>document.title='broken'</script><b onclick=alert(1)>&amp;"


def in_pieces(*sizes):
    """The board with less of each RAM."""
    rams = {m.name: size for m, size in zip(DISCO_F746NG.chip.rams, sizes, strict=True)}
    memories = tuple(replace(m, size=rams.get(m.name, m.size)) for m in DISCO_F746NG.chip.memories)
    return replace(DISCO_F746NG, chip=replace(DISCO_F746NG.chip, memories=memories))


@pytest.fixture(scope="module")
def compilation():
    """Spread over two memories."""
    return smelt.compile(KWS, in_pieces(16_000, 12_000, 2_000), compiler="none", log=TuningLog.empty)


@pytest.fixture(scope="module")
def view(compilation):
    return look(compilation, TuningLog.empty, "balanced", curve=False)


# --- what it says -----------------------------------------------------------------------------------------------------


def test_boxes_are_the_placements(compilation, view):
    plan = compilation.plan
    taken = [box for box in view.boxes if box.kind not in ("table", "stack", "code")]
    assert {(b.name, b.memory, b.offset, b.end, b.first, b.last) for b in taken} == {
        (p.name, p.memory, p.offset, p.end, p.first, p.last) for p in plan.placements
    }
    assert len([m for m in view.memories if m.arena]) == 2
    tables = [box for box in view.boxes if box.kind == "table"]
    assert sum(box.size for box in tables) == plan.table_bytes and all(box.read_by for box in tables)
    ram = sum(m.used for m in view.memories if m.holds == "data")
    flash = sum(m.used for m in view.memories if m.holds == "code")
    assert (ram, flash) == (plan.ram_bytes, plan.flash_bytes) == (view.ram_bytes, view.flash_bytes)


def test_tables_are_drawn_in_the_flash_that_has_them():
    outside = board("disco_f746ng_sdram")
    memories = tuple(replace(m, size=38_000) if m.name == "flash" else m for m in outside.chip.memories)
    small = replace(outside, chip=replace(outside.chip, memories=memories))
    compilation = smelt.compile(KWS, small, compiler="none", log=TuningLog.empty)
    view = look(compilation, TuningLog.empty, "balanced", curve=False)
    found = {m: sum(b.size for b in view.boxes if b.kind == "table" and b.memory == m) for m in ("flash", "qspi")}
    assert found == compilation.plan.flash_uses and all(found.values())
    assert [m.name for m in view.memories if m.holds == "code"] == ["flash", "qspi"]


def test_the_peak_is_what_is_alive_where_most_is(view):
    alive = [sum(at) for at in zip(*(m.alive for m in view.memories), strict=True)]
    assert view.peak.bytes == max(alive) == alive[view.peak.time + 1] == view.steps[view.peak.time].alive
    there = [b for b in view.boxes if b.first <= view.peak.time <= b.last and b.kind not in ("table", "stack", "code")]
    assert [p.name for p in view.peak.parts] == [b.name for b in sorted(there, key=lambda b: -b.size)]
    lines = list(view.peak.lines(1))
    assert f"{view.peak.bytes:,} bytes" in lines[0] and view.steps[view.peak.time].name in lines[0]
    assert len(lines) == 3 and lines[2].endswith(f"{len(there) - 1} more")


def test_bytes_that_two_boxes_share_are_alive_once():
    a, b = Box("a", "tensor", "m", 0, 100, 0, 1), Box("b", "tensor", "m", 60, 80, 1, 2)
    assert bytes_of([a]) == 100 and bytes_of([b, a]) == 140 and bytes_of([]) == 0 and bytes_of([a, a]) == 100


def smelt_plan(*arguments):
    return CliRunner().invoke(main, ["plan", *map(str, arguments)])


def test_the_command(tmp_path):
    page = tmp_path / "plan.html"
    done = smelt_plan(HELLO, "-b", "nucleo_l4r5zi", "--log", "none", "--html", page)
    assert done.exit_code == 0, done.output
    for words in ("alive at each step", "Most is alive at step", "which is the bound", "What each budget would buy"):
        assert words in done.stdout
    found = json.loads(smelt_plan(HELLO, "-b", "nucleo_l4r5zi", "--log", "none", "--json").stdout)
    assert found["peak"]["parts"] and found["memories"] and found["boxes"] and len(found["points"]) > 1
    assert data_of(page.read_text("utf-8")) == {key: found[key] for key in data_of(page.read_text("utf-8"))}
    short = json.loads(smelt_plan(HELLO, "-b", "nucleo_l4r5zi", "--log", "none", "--json", "--no-curve").stdout)
    assert short["points"] == [] and short["boxes"] == found["boxes"]


def data_of(page):
    """What a page draws."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    options = ("--log", "none", "--no-curve", "--html", tmp_path / "file" / "page.html")
    done = smelt_plan(AD, "-b", "nucleo_l4r5zi", *options)
    assert done.exit_code == 2 and "cannot write into" in done.output


@pytest.mark.parametrize(("blocks", "top"), [(" ▁▂▃▄▅▆▇█", "█"), (" #", "#")])
def test_charts(blocks, top):
    lines = chart((0, 50, 100, 25), 40, blocks)
    assert len(lines) == 9 and lines[0].startswith("       100 |") and lines[4].startswith("        50 |")
    bars = [line.partition("|")[2] for line in lines[:-1]]
    assert [sum(bar[4 * n] == top for bar in bars) for n in range(4)] == [0, 4, 8, 2]
    assert lines[-1].endswith("|    0   1")
    many = chart(tuple(range(1000)), 60, blocks)
    assert max(map(len, many)) <= 60 + 12 and many[-1].endswith("  899")


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def write(folder, view):
    file = folder / "plan.html"
    file.write_text(plan_page(view), "utf-8")
    return file


LABELS = """(() => {
  const found = [...document.querySelectorAll(".plan-box")].flatMap((box) => {
    const outer = box.querySelector("rect").getBoundingClientRect();
    return [...box.querySelectorAll("text")].map((text) => {
      const r = text.getBoundingClientRect();
      const within = r.left >= outer.left - 1 && r.right <= outer.right + 1;
      const inside = within && r.top >= outer.top - 3 && r.bottom <= outer.bottom + 3;
      return { text: text.textContent, left: r.left, right: r.right, top: r.top, bottom: r.bottom, inside };
    });
  });
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
  const pairs = found.flatMap((a, n) => found.slice(n + 1).filter((b) => meet(a, b)).map((b) => [a.text, b.text]));
  return { count: found.length, outside: found.filter((f) => !f.inside).map((f) => f.text), pairs };
})()"""
"""How many labels boxes have, those that stick out of their box, and those that lie over each other."""


def test_a_page_draws_every_box_and_labels_keep_apart(page, tmp_path, view):
    page.open(write(tmp_path, view))
    assert page.find("document.querySelectorAll('.plan-box').length") == len(view.boxes)
    assert page.find("document.querySelectorAll('.plan-caption').length") == 1 + len(view.memories)
    labels = page.find(LABELS)
    assert labels["count"] > 10 and not labels["outside"] and not labels["pairs"], labels
    assert page.find("document.documentElement.scrollWidth") <= 1280
    text = page.find("document.body.innerText")
    assert f"{view.ram_bytes:,}" in text and view.steps[-1].name in text and "Most is alive" in text
    asked = [e["params"]["request"]["url"] for e in page.events if e.get("method") == "Network.requestWillBeSent"]
    assert asked and all(url.startswith(("file:", "about:")) for url in asked), "a page needs no network"


def test_a_click_shows_details_and_links_lead_on(page, tmp_path, view):
    page.open(write(tmp_path, view))
    number, box = next((n, b) for n, b in enumerate(view.boxes) if b.kind == "scratch" and b.size > 2000)
    page.click(f".plan-box[data-box='{number}'] rect")
    side = page.find("document.querySelector('.plan-side').innerText")
    assert box.name in side and f"{box.size:,} bytes" in side and box.memory in side
    page.click(".plan-side .plan-link")
    step = view.steps[box.first]
    side = page.find("document.querySelector('.plan-side').innerText")
    assert step.name in side and step.kernels[0] in side and "Scratch" in side
    assert page.find("location.hash") == f"#step={step.name}"
    page.click(".plan-table tr[tabindex]", 2)
    assert view.steps[2].kernels[0] in page.find("document.querySelector('.plan-side').innerText")


def test_a_run_in_bands_shows_what_each_call_computes(page, tmp_path):
    """On a click: the rows of each op, and the bytes that each kernel call reads and writes."""
    graph = prepare(load(IC))
    plan = planned(graph, [(1, 4, 8)])
    view = plan_view(Compilation(graph, graph, plan, None, None, None, Evidence()), Known(NUCLEO_L4R5ZI), "ram")
    (number,) = (n for n, step in enumerate(view.steps) if step.bands)
    step, way = view.steps[number], plan.steps[number].way
    assert len(step.bands) == len(way.pieces) and len(step.lanes) == 3
    for n, op in enumerate(way.ops):
        rows = [row for b in step.bands if b.lane == n and b.deed == "computes" for row in range(b.first, b.stop)]
        assert rows == list(range(op.y.shape[1])), "all rows, one after the other"
    assert any(b.deed == "moves" for b in step.bands)
    boxes = {box.name: box for box in view.boxes}
    for touched in (t for b in step.bands for t in (*b.reads, *b.writes)):
        assert touched.offset >= 0 and touched.offset + touched.size <= boxes[touched.box].size
    lines = [box for box in view.boxes if box.kind == "lines"]
    assert len(lines) == 2 and all(box.first == box.last == number for box in lines)
    names = [box.name for box in view.boxes if box.memory == "flash"]
    assert len(set(names)) == len(names)
    assert view.boxes[[b.name for b in view.boxes].index(step.writes[0])].over == step.reads
    page.open(write(tmp_path, view))
    assert page.find("document.querySelector('[aria-label^=Bands]').hidden")
    page.click(".plan-table tr[tabindex]", number)
    assert not page.find("document.querySelector('[aria-label^=Bands]').hidden")
    assert page.find("document.querySelectorAll('.plan-call').length") == len(step.bands)
    assert page.find("document.querySelectorAll('.plan-card rect.plan-read').length") == sum(
        len(b.reads) for b in step.bands
    )
    side = page.find("document.querySelector('.plan-side').innerText")
    assert "bands of 8 rows" in side and "Line buffers" in side
    page.click(f".plan-box[data-box='{[b.name for b in view.boxes].index(step.writes[0])}'] rect")
    assert re.search(
        r"Written over, beginning [\d,]+ bytes before it", page.find("document.querySelector('.plan-side').innerText")
    )
    assert page.find("document.documentElement.scrollWidth") <= 1280


def test_an_input_that_is_fed_arrives_in_the_page(page, tmp_path):
    """It has no box of its own but a line buffer; rows are there before they are read."""
    file = tmp_path / "camera.tflite"
    file.write_bytes(camera())
    compilation = smelt.compile(file, "nucleo_l4r5zi", compiler="none", log=TuningLog.empty, feed=True)
    view = look(compilation, TuningLog.empty, "balanced", curve=False)
    step = view.steps[0]
    arrived = [b for b in step.bands if b.deed == "arrives"]
    assert [row for b in arrived for row in range(b.first, b.stop)] == list(range(ROWS))
    assert "the input 'picture'" in step.lanes[0] and not any(box.kind == "input" for box in view.boxes)
    assert any(box.kind == "lines" and "'picture'" in box.about for box in view.boxes)
    scratch = [box for box in view.boxes if box.kind in ("lines", "scratch")]
    assert all(box.name.startswith(f"{view.steps[box.first].name}.") for box in scratch)
    assert len({box.name for box in scratch}) == len(scratch) > 3
    page.open(write(tmp_path, view), f"#step={step.name}")
    assert page.find("document.querySelectorAll('.plan-call .plan-arrived').length") == len(arrived)
    done = smelt_plan(file, "-b", "nucleo_l4r5zi", "--log", "none", "--feed", "--json")
    assert json.loads(done.stdout)["steps"][0]["bands"] and json.loads(done.stdout)["points"] == []


def test_tables_that_are_moved_are_boxes_of_two_steps(page, tmp_path):
    """Under way while one step computes, read by the next."""
    graph, there = prepare(load(KWS)), with_flash(400)
    plan = staged(make_plan(graph, there), Predictor(Known(there)))
    view = plan_view(Compilation(graph, graph, plan, None, None, None, Evidence()), Known(there), "speed")
    moved = [box for box in view.boxes if box.kind == "moved"]
    assert len(moved) == len(plan.stages) > 1
    assert all(box.made_by == (box.first,) and box.read_by == (box.last,) == (box.first + 1,) for box in moved)
    page.open(write(tmp_path, view), f"#step={view.steps[moved[0].last].name}")
    assert "TABLES THAT HAVE BEEN MOVED HERE" in page.find("document.querySelector('.plan-side').innerText").upper()
    page.click(f".plan-box[data-box='{view.boxes.index(moved[0])}'] rect")
    side = page.find("document.querySelector('.plan-side').innerText")
    assert "moved from flash while" in side and view.steps[moved[0].first].name in side


def test_keys(page, tmp_path, view):
    page.open(write(tmp_path, view))

    def title():
        return page.find("document.querySelector('.plan-side h2').textContent")

    page.key("p")
    assert title() == f"{view.peak.time} {view.peak.when.split()[-1]}"
    page.key("ArrowRight")
    assert title() == f"{view.peak.time + 1} {view.steps[view.peak.time + 1].name}"
    page.key("End")
    assert title() == "After the run"
    page.key("Home")
    page.key("ArrowDown")
    assert page.find("document.querySelectorAll('.plan-box.plan-on').length") == 1
    wide = page.find("document.querySelector('.plan-row').scrollWidth")
    page.key("+")
    assert page.find("document.querySelector('.plan-row').scrollWidth") > wide
    page.key("0")
    page.key("Escape")
    assert title().startswith("Most is alive")


def test_searching(page, tmp_path, view):
    page.open(write(tmp_path, view))
    page.key("/")
    page.write("scratch")
    shown = page.find("document.querySelectorAll('.plan-box:not(.plan-dim)').length")
    wanted = [box for box in view.boxes if box.kind == "scratch"]
    assert shown == len(wanted) < len(view.boxes)
    assert page.find("document.querySelector('.plan-side h2').textContent").startswith(f"{shown} of {len(view.boxes)}")
    page.key("Enter")
    assert page.find("document.querySelector('.plan-box.plan-on').dataset.box") == str(view.boxes.index(wanted[0]))
    assert page.find("location.hash") == f"#q=scratch&box={wanted[0].name}"
    page.key("Escape")
    assert page.find("document.querySelectorAll('.plan-dim').length") == 0


def test_addresses_lead_to_what_they_name(page, tmp_path, view):
    page.open(write(tmp_path, view), f"#step={view.steps[1].name}")
    assert view.steps[1].kernels[0] in page.find("document.querySelector('.plan-side').innerText")
    page.open(write(tmp_path, view), "#q=no-such-thing&theme=dark")
    assert page.find("document.querySelectorAll('.plan-box:not(.plan-dim)').length") == 0
    assert page.find("document.documentElement.style.colorScheme") == "dark"
    page.open(write(tmp_path, view), "#step=none&box=__proto__")
    assert page.find("document.querySelector('.plan-side h2').textContent").startswith("Most is alive")


def test_light_and_dark(page, tmp_path, view):
    def brightness():
        return np.asarray(Image.open(io.BytesIO(page.picture())).convert("L")).astype(int)

    file = write(tmp_path, view)
    seen = {}
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        page.open(file)
        seen[scheme] = brightness()
    assert np.median(seen["light"]) > 230 and np.median(seen["dark"]) < 60
    assert all(picture.std() > 10 for picture in seen.values())
    page.key("d")
    assert np.median(brightness()) > 230
    page.scheme("light")


def test_names_of_a_model_are_text_and_nothing_else(page, tmp_path):
    """In the title, the data, labels and details."""
    w, inputs, outputs = relu_chain(["x", HOSTILE])
    file = tmp_path / f"{HOSTILE[:9].replace('/', '')}.tflite"
    file.write_bytes(w.finish(inputs, outputs))
    compilation = smelt.compile(file, "disco_f746ng", compiler="none")
    view = look(compilation, None, "balanced", curve=False)
    assert any(box.name == HOSTILE for box in view.boxes)
    text = plan_page(view)
    assert text.count("<script") == 2 and "<b onclick" not in text
    page.open(write(tmp_path, view), "#q=onclick")
    assert page.find("document.title") == f"{view.model} on disco_f746ng"
    assert page.find("document.querySelectorAll('b[onclick]').length") == 0
    page.key("/")
    page.key("Enter")
    assert HOSTILE[:40] in page.find("document.querySelector('.plan-side').textContent")
    bad = replace(view, model=HOSTILE, notes=(HOSTILE,), board="@STYLE@")
    page.open(write(tmp_path, bad))
    assert page.find("document.querySelectorAll('script').length") == 2
    assert page.find("document.querySelector('.plan-notes').textContent") == HOSTILE


def long_view(steps=300):
    """A plan of as many steps, as data."""
    boxes = [
        Box(f"t{n}", "tensor", "ram", n % 3 * 4000, 4000, n, n + 1, "int8 1x4000", (), (n,), (n + 1,))
        for n in range(steps - 1)
    ]
    boxes += [
        Box(f"s{n}.scratch", "scratch", "ram", 12000, 40 * (n % 90 + 1), n, n, "of it", (), (n,), (n,))
        for n in range(steps)
    ]
    made = tuple(
        StepView(f"s{n}", "Add", "", "add", "-", ("add_1",), 0, 1000 + n, True, 8000, 0, 0, False, (), ())
        for n in range(steps)
    )
    alive = (4000, *(8000 + 40 * (n % 90 + 1) for n in range(steps)), 4000)
    memory = MemoryView("ram", "data", 0x20000000, 65536, 60000, 15600, 15600, alive)
    peak = Peak(89, "at step s89", 11600, (Part("t89", "tensor", 4000), Part("s89.scratch", "scratch", 3600)))
    return PlanView(
        "long", "board", "ram", 16304, 9000, None, None, 10**6, steps, 10**8, 15600, 11600, peak, (memory,), made, tuple(boxes),
        (Point(16304, 9000, 10**6, 0, 3, steps),), (),
    )  # fmt: skip


def test_three_hundred_steps_stay_readable(page, tmp_path):
    view = long_view()
    page.open(write(tmp_path, view), "#step=s200")
    assert page.find("document.querySelectorAll('.plan-box').length") == len(view.boxes)
    assert page.find("document.documentElement.scrollWidth") <= 1280
    for _ in range(4):
        page.key("+")
    labels = page.find(LABELS)
    assert not labels["outside"] and not labels["pairs"], labels
    place = page.find("(r => [r.left, r.right])(document.querySelector('.plan-chosen').getBoundingClientRect())")
    around = page.find("(r => [r.left, r.right])(document.querySelector('.plan-scroll').getBoundingClientRect())")
    assert around[0] <= place[0] and place[1] <= around[1] + 1, "what is chosen stays in sight"
    for _ in range(5):
        page.key("+")
    labels = page.find(LABELS)
    assert labels["count"] > 300 and not labels["outside"] and not labels["pairs"]


def test_several_plans_in_one_page(page, tmp_path, view):
    """As later pages embed them."""
    one = plan_page(view)
    file = tmp_path / "two.html"
    file.write_text(one.replace("<script>", plan_element(view) + "<script>", 1), "utf-8")
    page.open(file)
    assert page.find("document.querySelectorAll('.plan').length") == 2
    page.click(".plan:nth-of-type(2) .plan-table tr[tabindex]", 0)
    titles = page.find("[...document.querySelectorAll('.plan-side h2')].map(h => h.textContent)")
    assert titles[0].startswith("Most is alive") and titles[1] == f"0 {view.steps[0].name}"
    assert page.find("location.hash") == ""
