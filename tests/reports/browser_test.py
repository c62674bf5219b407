"""The report in a real browser: it requests nothing, and all can use it."""

import contextlib
import importlib.resources
import json
import re
import shutil
import subprocess

import pytest
import walk
from PIL import Image
from selenium import webdriver
from selenium.common import exceptions
from selenium.webdriver.chrome.remote_connection import ChromeRemoteConnection
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import tfds_imagecsv
from tfds_imagecsv.reports import inline

BROWSER, DRIVER = map(shutil.which, ("chromium", "chromedriver"))

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no browser: apt-get install chromium chromium-driver",
)

# A browser that does nothing by itself.
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    "--disable-component-update",
)

SCRIPT = "<img src=x onerror=alert(1)>"

REPORTS = (
    "classes",
    "300 classes",
    "multilabel",
    "regression",
    "boxes",
    "problems",
)

# The visible names of classes in the table.
SHOWN = """
return [...document.querySelectorAll("#class-rows tr")]
    .filter((row) => row.checkVisibility())
    .map((row) => row.cells[0].textContent)
"""


class Browser:
    """A browser, and what it noticed.

    Args:
      driver: Selenium's.
    """

    def __init__(self, driver):
        self.driver = driver

    def devtools(self, command, **params):
        """Calls the browser's own protocol."""
        found = self.driver.execute(
            "executeCdpCommand", {"cmd": command, "params": params}
        )
        return found["value"]

    def run(self, script, *args):
        """Runs a script in the page, and returns what it returns."""
        return self.driver.execute_script(script, *args)

    def find(self, selector):
        """Returns the elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def log(self, kind):
        """Returns the log since the last call."""
        return self.driver.execute("getLog", {"type": kind})["value"]

    def requests(self):
        """Returns the addresses requested since the last call."""
        messages = [
            json.loads(one["message"])["message"] for one in self.log("performance")
        ]
        return [
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]

    def open(self, path, *, width=1280, scheme="light", scripts=True):
        """Opens a file in a window of a width (pixels)."""
        self.log("browser")
        self.log("performance")
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.devtools(
            "Emulation.setEmulatedMedia",
            media="",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.driver.get(path.as_uri())

    def press(self, *keys):
        """Presses keys, wherever the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser with a new profile."""
    with contextlib.ExitStack() as stack:
        # Selenium would look up `localhost`, which tests may not.
        process = stack.enter_context(
            subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.terminate)
        started = next(line for line in process.stdout if "successfully" in line)
        address = "http://127.0.0.1:" + re.search(r"on port (\d+)", started)[1]
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
        for flag in (*FLAGS, profile):
            options.add_argument(flag)
        options.set_capability(
            "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
        )
        driver = webdriver.Remote(ChromeRemoteConnection(address), options=options)
        stack.callback(driver.quit)
        yield Browser(driver)


@pytest.fixture(scope="module")
def reports(tmp_path_factory, write_png, write_csv):
    """The paths of the reports of some datasets, by their names."""
    root = tmp_path_factory.mktemp("reports")
    found = {}

    def make(name, rows, header=("filename", "label"), lost=(), masks=False, **fields):
        folder = root / name
        for at, row in enumerate(rows):
            path = folder / "images" / row[0]
            write_png(path, width=5 + at % 40, height=4 + at % 7)
            if at % 9 == 4:
                exif = Image.Exif()
                exif[0x0112] = 6
                Image.open(path).resize((64, 48)).save(path, "JPEG", exif=exif)
            if masks:
                fields["mask_dir"] = folder / "masks"
                (folder / "masks").mkdir(exist_ok=True)
                mask = Image.new("L", Image.open(path).size)
                mask.paste(255, (1, 1, 4, 3))
                mask.save(folder / "masks" / row[0])
        for one in lost:
            (folder / "images" / one).unlink()
        write_csv(folder / "labels.csv", rows, header=header)
        config = tfds_imagecsv.ImageCsvConfig(
            name="pets",
            image_dir=folder / "images",
            label_csv=folder / "labels.csv",
            **fields,
        )
        found[name] = root / f"{name}.html"
        found[name].write_text(walk.report(config), encoding="utf-8")

    animals = ("cat", "dog", "emu")
    keys = [f"{at:02}.png" for at in range(60)]
    make("classes", [(key, animals[at % 3]) for at, key in enumerate(keys)])
    many = [(f"{at}.png", f"species {at % 300:03}") for at in range(900)]
    make("300 classes", [*many, ("last.png", "species 000")])
    labels = [("|".join(animals[: at % 3 + 1]), f"g{at % 20}") for at in range(60)]
    make(
        "multilabel",
        [(key, *both) for key, both in zip(keys, labels, strict=True)],
        header=("filename", "label", "site"),
        label_type="multilabel",
        label_delimiter="|",
        group_column="site",
    )
    numbers = [(key, str(at**2)) for at, key in enumerate(keys)]
    make("regression", numbers, label_type="regression", folds=3)
    # With a further image, and a mask; one of its classes has a script as its name.
    boxes = [
        (
            key,
            keys[at - 1],
            animals[(at + more) % 3],
            more / 4,
            0.1,
            0.4 + more / 4,
            0.5,
        )
        for at, key in enumerate(keys)
        for more in range(at % 3)
    ]
    empty = [
        (key, keys[at - 1], *[""] * 5) for at, key in enumerate(keys) if not at % 3
    ]
    make(
        "boxes",
        boxes + empty,
        header=("filename", "before", "class", "xmin", "ymin", "xmax", "ymax"),
        masks=True,
        label_type="boxes",
        image_columns={"before": "before"},
        mask_colors={"#000": "ground", "#fff": SCRIPT},
    )
    wrong = [(key, SCRIPT if at % 2 else "dog") for at, key in enumerate(keys)]
    wrong[5] = (keys[5], "")
    make("problems", wrong, lost=keys[8:10])
    assert sorted(found) == sorted(REPORTS)
    return found


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_asked_for_and_nothing_goes_wrong(browser, reports, name):
    """No request except for the page, no error, no dialogue of a label's script."""
    browser.open(reports[name])
    assert browser.run("return document.readyState") == "complete"
    assert browser.log("browser") == []
    others = [one for one in browser.requests() if not one.startswith("data:")]
    assert others == [reports[name].as_uri()]
    broken = "return [...document.images].filter(one => !one.naturalWidth).length"
    assert browser.run("return document.images.length") > 10
    assert browser.run(broken) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", REPORTS)
def test_all_can_read_it(browser, reports, name, scheme):
    """The rules that axe checks: contrast, names, headings, landmarks, and more."""
    axe = importlib.resources.files("axe_core_python") / "axe.min.js"
    for width in (1280, 400):
        browser.open(reports[name], width=width, scheme=scheme)
        for details in browser.find("details"):
            browser.run("arguments[0].open = true", details)
        browser.run(axe.read_text("utf-8"))
        found = browser.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({resultTypes: ['violations']}).then(done)"
        )
        assert len(found["passes"]) > 15
        serious = [
            (one["id"], one["impact"], [node["html"] for node in one["nodes"]][:3])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []


@pytest.mark.parametrize("name", REPORTS)
def test_it_is_as_wide_as_a_phone(browser, reports, name):
    """Wider parts scroll within the page."""
    browser.open(reports[name], width=400)
    root = "document.documentElement"
    assert (
        browser.run(f"return innerWidth + {root}.scrollWidth - {root}.clientWidth")
        == 400
    )


# For each picture with boxes: where the whole picture is on the screen, where its first
# box is, and where it should be by the numbers of its path.
DRAWN = """
return [...document.querySelectorAll("#examples .pic")].map((one) => {
    const [image, svg] = [one.querySelector("img"), one.querySelector("svg")];
    if (!svg) return null;
    const frame = image.getBoundingClientRect();
    const scale = Math.min(
        frame.width / image.naturalWidth, frame.height / image.naturalHeight);
    const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
    const left = frame.left + (frame.width - width) / 2;
    const upper = frame.top + (frame.height - height) / 2;
    const path = svg.querySelector("path");
    const box = path.getBBox(), view = svg.viewBox.baseVal;
    const matrix = path.getScreenCTM();
    return [
        [box.x * matrix.a + matrix.e, left + box.x / view.width * width],
        [box.y * matrix.d + matrix.f, upper + box.y / view.height * height],
        [box.width * matrix.a, box.width / view.width * width],
        [box.height * matrix.d, box.height / view.height * height],
    ];
});
"""


@pytest.mark.parametrize("width", [1280, 400])
def test_boxes_are_on_their_pictures(browser, reports, width):
    """A picture is fitted into its square together with its boxes."""
    browser.open(reports["boxes"], width=width)
    drawn = [edges for edges in browser.run(DRAWN) if edges]
    assert len(drawn) > 10
    for edges in drawn:
        for found, wanted in edges:
            assert abs(found - wanted) < 1


def test_classes_are_found_as_one_types(browser, reports):
    """It shows those with the words in their names, and says how many."""
    browser.open(reports["300 classes"])
    (field,) = browser.find("#find-class")
    assert field.is_displayed()
    field.send_keys("SPECIES 01")
    shown = browser.run(SHOWN)
    assert sorted(shown) == [f"species {at:03}" for at in range(10, 20)]
    (said,) = browser.find(".find output")
    assert said.text == "10 of 300"
    field.clear()
    field.send_keys(Keys.SPACE, Keys.BACKSPACE)
    assert len(browser.run(SHOWN)) == 300
    assert said.text == ""


def test_a_keyboard_is_enough(browser, reports):
    """Tabs lead from the link above the contents to a column, which it sorts."""
    browser.open(reports["300 classes"])
    browser.press(Keys.TAB)
    focused = browser.driver.switch_to.active_element
    assert focused.text == "Skip to the content"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.run(outline) == "solid"
    places = set()
    for _ in range(40):
        browser.press(Keys.TAB)
        focused = browser.driver.switch_to.active_element
        assert browser.run(outline) == "solid"
        places.add(focused.tag_name)
        if focused.text == "Class":
            break
    assert places == {"a", "input", "div", "button"}
    assert browser.run(SHOWN)[0] == "species 000"  # the largest
    browser.press(Keys.ENTER, Keys.ENTER)
    assert focused.find_element(By.XPATH, "..").get_attribute("aria-sort") == (
        "descending"
    )
    assert browser.run(SHOWN)[0] == "species 299"


def test_code_is_copied(browser, reports):
    """A button copies it, and announces this to those who can't see it."""
    browser.open(reports["300 classes"])
    (button,) = browser.find("#load button.copy")
    (code,) = browser.find("#load pre")
    wanted = code.text
    assert wanted.startswith("import tensorflow_datasets as tfds")
    button.click()
    (said,) = browser.find("#load [role=status]")
    WebDriverWait(browser.driver, 20).until(
        lambda _: said.get_attribute("textContent") == "Copied"
    )
    (field,) = browser.find("#find-class")
    field.send_keys(Keys.CONTROL, "v")
    # A one-line field has no line breaks.
    assert field.get_attribute("value").replace(" ", "") == re.sub(r"\s", "", wanted)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_button_covers_no_code(browser, reports, width):
    """Neither on a screen nor on a phone, where lines are wider than the page."""
    browser.open(reports["classes"], width=width)
    lines = browser.run("""
        const range = document.createRange();
        range.selectNodeContents(document.querySelector("#load pre"));
        const button = document.querySelector("#load button.copy");
        const box = button.getBoundingClientRect();
        return [...range.getClientRects()].map((one) =>
            one.right > box.left && one.top < box.bottom && one.bottom > box.top)
        """)
    assert len(lines) >= 2
    assert not any(lines)


def test_it_is_read_without_scripts(browser, reports):
    """Everything is there except searching and sorting, which are hidden."""
    browser.open(reports["300 classes"], scripts=False)
    assert len(browser.find("#class-rows tr")) == 300
    assert not browser.find("button")
    (field,) = browser.find("#find-class")
    assert not field.is_displayed()
    browser.open(reports["300 classes"])
    assert browser.find("button")


def test_paper_has_all_of_it(browser, reports):
    """Scrolling parts are whole, and buttons are left out."""
    browser.open(reports["300 classes"])
    browser.devtools("Emulation.setEmulatedMedia", media="print")
    tall = "return [...document.querySelectorAll('.scroll')]"
    assert browser.run(f"{tall}.every(one => one.scrollHeight <= one.clientHeight + 1)")
    assert not browser.find("nav")[0].is_displayed()
    assert not browser.find(".find")[0].is_displayed()


def test_a_notebook_shows_it_in_a_frame(browser, reports, tmp_path):
    """The page works there as it does alone, but can't reach the notebook."""
    text = reports["300 classes"].read_text("utf-8")
    shown = inline.InlinePage("report.html", text)._repr_html_()
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!DOCTYPE html><title>x</title>{shown}", encoding="utf-8")
    browser.open(notebook)
    (frame,) = browser.find("iframe")
    browser.driver.switch_to.frame(frame)
    (field,) = browser.find("#find-class")
    field.send_keys("species 29")
    assert len(browser.run(SHOWN)) == 10
    with pytest.raises(exceptions.WebDriverException, match="Blocked a frame"):
        browser.run("return parent.document.title")
    browser.driver.switch_to.default_content()
    assert [one for one in browser.log("browser") if "sandbox" not in str(one)] == []
