"""The report in headless Chromium: sort, filter, open, hostile text as text, no console message, no wider than a phone."""

import dataclasses
import re
import shutil

import pytest

from harness.dependencies import FunctionalDependency
from harness.report.leaderboard_files import write
from harness.table import Column, Schema
from tests.factories import FORMULA, HOSTILE, make_dataset, make_full_store, make_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on this machine")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra dev)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    generators = {"ctgan": 0.5, "tvae": 0.3, "row_llm": 0.9, "independent": 0.0}
    datasets = [make_dataset("plain"), make_dataset("hostile", hostile=True), make_dataset("third")]
    store = make_full_store(root / "store", datasets, generators, notes=(HOSTILE,), command=f"run {HOSTILE}")
    store.write(make_record("plain", "tvae", 7, status="failed", error=HOSTILE, log_tail=(HOSTILE, FORMULA)))
    write(store, root / "out")
    return (root / "out" / "index.html").as_uri()


@pytest.fixture
def page(browser, report):
    browser.set_window_size(1200, 900)
    browser.get("about:blank")
    browser.get(report)
    yield browser
    assert browser.get_log("browser") == []


ORDERS = ("fd", "fixed_random", "original", "fd_reversed", "fd_reference", "information")
SCORES, STANDING = "#main", "table[aria-labelledby=standing]"


def labels(page, table=SCORES):
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].filter(r => !r.hidden).map(r => r.dataset.label)",
        table,
    )


def click_head(page, name, table=SCORES):
    page.execute_script(
        "[...document.querySelectorAll(arguments[1] + ' thead button')].find(b => b.textContent === arguments[0]).click()",
        name,
        table,
    )


def test_best_first_and_sorting_by_a_heading_both_ways(page):
    assert labels(page) == ["row_llm", "ctgan", "tvae", "independent"]
    click_head(page, "overall")
    assert labels(page) == ["row_llm", "ctgan", "tvae", "independent"]
    click_head(page, "overall")
    assert labels(page) == ["independent", "tvae", "ctgan", "row_llm"]
    click_head(page, "generator")
    assert labels(page) == ["ctgan", "independent", "row_llm", "tvae"]
    state = "return document.querySelector('#main th[aria-sort]').getAttribute('aria-sort')"
    assert page.execute_script(state) == "ascending"


def test_unknown_values_sort_last_in_both_directions(page):
    click_head(
        page, "rank", STANDING
    )  # the reference generator has no rank; lower is better, so the first click puts 1 first
    assert labels(page, STANDING) == ["row_llm", "ctgan", "tvae", "independent"]
    click_head(page, "rank", STANDING)
    assert labels(page, STANDING) == ["tvae", "ctgan", "row_llm", "independent"]


def test_sorting_and_filtering_with_the_keyboard_alone(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    field = page.find_element(By.ID, "filter")
    field.send_keys("a")
    field.send_keys("n")
    assert labels(page) == labels(page, STANDING) == ["ctgan"]
    assert page.find_element(By.ID, "shown").text == "1 generator shown"
    field.send_keys(Keys.BACKSPACE, Keys.BACKSPACE)
    assert len(labels(page)) == 4
    head = page.find_element(By.CSS_SELECTOR, "#main thead button")
    head.send_keys(Keys.ENTER)
    assert labels(page) == ["ctgan", "independent", "row_llm", "tvae"]


def test_references_can_be_hidden(page):
    page.execute_script("document.getElementById('references').click()")
    assert labels(page) == ["row_llm", "ctgan", "tvae"]


def test_a_link_opens_its_dataset(page):
    is_open = "return document.querySelector('#dataset-2 > details').open"
    assert page.execute_script(is_open) is False
    page.execute_script("document.querySelector('nav a[href=\"#dataset-2\"]').click()")
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 5).until(lambda driver: driver.execute_script(is_open))


def test_a_dataset_and_a_generator_open_with_the_keyboard(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    for place in ("#dataset-2 > details", "#dataset-2 details.generator"):
        summary = page.find_element(By.CSS_SELECTOR, f"{place} > summary")
        before = page.execute_script("return document.querySelector(arguments[0]).open", place)
        summary.send_keys(Keys.ENTER)
        assert page.execute_script("return document.querySelector(arguments[0]).open", place) is not before


def test_hostile_text_is_shown_as_text(page):
    page.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.title == "TabOrder leaderboard"
    text = page.execute_script("return document.body.innerText")
    assert HOSTILE in text
    assert FORMULA in text
    assert page.execute_script("return document.scripts.length") == 1


def test_nothing_is_fetched(page):
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


def test_no_sideways_scrolling_on_a_phone_even_with_everything_open(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.refresh()
        page.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(page, scheme):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        found = page.execute_script(
            "const s = getComputedStyle(document.body), l = document.querySelector('.lead');"
            "return [s.backgroundColor, s.color, getComputedStyle(l).color]"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    back, ink, soft = map(luminance, found)
    for front in (ink, soft):
        assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 4.5  # WCAG 2.2 AA


def luminance(colour):
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LYING_ON_EACH_OTHER = """
const faults = [];
for (const svg of document.querySelectorAll('svg:not(.defs)')) {
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  for (const [said, a] of boxes) if (a.left < 0) faults.push(['cut', said]);
  for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
    const a = boxes[i][1], b = boxes[j][1];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 3 && high > 0.35 * Math.min(a.height, b.height)) faults.push([boxes[i][0], boxes[j][0]]);
  }
}
return faults;
"""


def test_long_names_lie_beside_each_other_in_every_drawing_and_bars_have_room(browser, tmp_path):
    names = {f"permutation_aware_llm_with_the_order_{order}": 0.9 - 0.1 * i for i, order in enumerate(ORDERS)}
    store = make_full_store(tmp_path / "store", [make_dataset("plain")], names)
    write(store, tmp_path / "out")
    page = browser
    page.set_window_size(1200, 900)
    page.get((tmp_path / "out" / "index.html").as_uri())
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.execute_script(LYING_ON_EACH_OTHER) == []
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})  # fmt: skip
    try:
        widths = page.execute_script("return [...document.querySelectorAll('.track')].map(t => t.offsetWidth)")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths
    assert min(widths) > 80


def test_closed_parts_are_printed(page):
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") > 0


ATTACKS = {
    "script": "<script>window.owned=1</script>",
    "end_script": "</script><script>window.owned=1</script>",
    "image": "<img src=x onerror=window.owned=1>",
    "svg": "\"'><svg onload=window.owned=1>",
    "link": "javascript:window.owned=1",
    "anchor": "<a href='javascript:window.owned=1'>x</a>",
    "style": "</style><link rel=stylesheet href=//127.0.0.1:9/x>",
    "formula": '=HYPERLINK("javascript:window.owned=1")',
    "template": "{{ 7 * 7 }}{% for x in y %}",
    "comment": "--><script>window.owned=1</script><!--",
}
PLACES = ("column", "category", "rule", "dataset note", "error", "log", "record note", "command", "folder")


def planted(place):
    """Each attack marked with the place it was put into, so that the page can be asked whether it shows that very one."""
    return [f"{place}:{text}" for text in ATTACKS.values()] + ([*ATTACKS.values()] if place == "column" else [])


def hostile_dataset():
    """The columns ``state``, ``n``, ``x``, ``y`` of the plain one; a column per attack whose categories are attacks too."""
    plain = make_dataset("hostile")
    frames = []
    for frame in (plain.train, plain.test):
        made = frame.drop(columns=["bird"])
        for name in planted("column"):
            made[name] = [planted("category")[int(state[1:]) + 4 * (i % 2)] for i, state in enumerate(made["state"])]
        frames.append(made)
    kept = [column for column in plain.schema.columns if column.name != "bird"]
    schema = Schema(
        (*kept, *(Column(n, "categorical") for n in planted("column"))), planted("column")[0], "classification"
    )
    rules = tuple({**plain.rules[0], "name": re.sub(r"\s", "_", name)} for name in planted("rule"))
    fds = tuple(FunctionalDependency(("state",), name) for name in planted("column"))
    return dataclasses.replace(
        plain,
        schema=schema,
        train=frames[0],
        test=frames[1],
        rules=rules,
        fds=fds,
        notes=tuple(planted("dataset note")),
    )


def test_attacks_in_columns_categories_rules_errors_logs_notes_and_folders_stay_text(browser, tmp_path):
    dataset = hostile_dataset()
    told = {"notes": tuple(planted("record note")), "command": " ".join(planted("command"))}
    store = make_full_store(tmp_path / "s", [dataset], {"row_llm": 0.9, "ctgan": 0.5, "independent": 0.0}, **told)
    for seed, error in enumerate(planted("error")):
        log = tuple(planted("log"))
        store.write(make_record("hostile", "tvae", 10 + seed, status="failed", error=error, log_tail=log, **told))
    for name in planted("folder"):  # as a foreign hand might leave them
        folder = tmp_path / "s" / "runs" / name.replace("/", "\\") / name.replace("/", "\\") / "0-00000000"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(name)
    write(store, tmp_path / "out")
    browser.get((tmp_path / "out" / "index.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.execute_script("document.querySelectorAll('button, summary, th, nav a').forEach(e => e.click())")
    run = browser.execute_script
    assert run("return [typeof window.owned, document.scripts.length, document.title]") == [
        "undefined",
        1,
        "TabOrder leaderboard",
    ]
    assert run("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert browser.get_log("browser") == []
    live = """return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes].map(a => [e.tagName, a.name, a.value]))
        .filter(([t, n, v]) => n.startsWith('on') || (['href', 'src', 'action', 'xlink:href'].includes(n) && !/^(#|data:image|data:,$)/.test(v)))"""
    assert run(live) == []
    assert run("return document.querySelectorAll('iframe, object, embed, form').length") == 0
    text = run("return document.body.textContent")
    shown = {place: [one for one in planted(place) if one in text] for place in PLACES}
    for place in ("column", "dataset note", "error", "log", "command"):
        assert shown[place] == planted(place)
    for place in ("rule", "record note", "folder"):  # whitespace is joined, and of many the first are shown
        assert shown[place]
