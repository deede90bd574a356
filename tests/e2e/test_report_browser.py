"""The report in headless Chromium: sort, filter, open, hostile text as text, no console message, no wider than a phone."""

import shutil

import pytest

from harness.leaderboard import write
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
    datasets = [make_dataset("plain"), make_dataset("hostile", hostile=True)]
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


def test_closed_parts_are_printed(page):
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script("return document.querySelectorAll('details:not([open])').length") > 0
