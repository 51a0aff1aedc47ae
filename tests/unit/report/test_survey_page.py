"""The survey's page as a rater meets it: in a headless Chromium, over the DevTools protocol."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.report import survey

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-extensions --no-first-run"
SIZE = 8
NAMES = ["zero", "<b>one</b> & </script>", "two"]
LOOK = """(() => {
  if (window.stale) throw "not loaded yet";
  const element = (id) => document.getElementById(id), source = (id) => document.querySelector(id).src;
  return { position: element("position").innerText, description: element("description").innerText,
    left: source("#left img"), right: source("#right img"), width: document.querySelector("#left img").width,
    ended: !element("end").hidden, overflow: document.documentElement.scrollWidth - innerWidth,
    text: document.body.innerText, warned: !element("warning").hidden,
    ready: !element("end").hidden || (shownAt !== null && performance.now() - shownAt > GUARD) };
})()"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path to drive the page in")
HANGS = 600  # seconds; a busy machine is slow, and that is no failure


class Browser:
    """A headless Chromium with one tab, spoken to in NUL-separated JSON over a pair of pipes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (read, self.write), (self.read, write) = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write)]  # apart from 3 and 4, what they become
        own = ["--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
        self.process = subprocess.Popen(
            [CHROMIUM, *FLAGS.split(), *own],
            preexec_fn=lambda: [os.dup2(end, number) for number, end in enumerate(ends, 3)],
            close_fds=False,  # Python's own are not inherited anyway
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (read, write, *ends):
            os.close(end)
        self.sent, self.received, self.tab, self.requested = 0, b"", {}, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.tab = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Network.enable")
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def call(self, method, patience=HANGS, **parameters):
        """The result of a DevTools command; AssertionError if it is an error, or late by `patience` seconds."""
        self.sent += 1
        os.write(self.write, json.dumps({"id": self.sent, "method": method, "params": parameters} | self.tab).encode())
        os.write(self.write, b"\0")
        while True:
            while b"\0" not in self.received:
                assert select.select([self.read], [], [], patience)[0], f"no answer to {method}"
                part = os.read(self.read, 1 << 20)
                assert part, "the browser has ended"
                self.received += part
            message, _, self.received = self.received.partition(b"\0")
            reply = json.loads(message)
            if reply.get("method") == "Network.requestWillBeSent":
                self.requested.append(reply["params"]["request"]["url"])
            if reply.get("id") == self.sent:
                assert "error" not in reply, reply
                return reply["result"]

    def evaluate(self, code, patience=HANGS):
        reply = self.call("Runtime.evaluate", patience, expression=code, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def reload(self):
        """Load the page anew; what there was until then is marked, so that look() passes it by."""
        self.evaluate("window.stale = true; location.reload()")

    def look(self, position):
        """What is on the screen once the page shows this position and takes answers."""
        deadline = time.monotonic() + HANGS
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):  # while a page loads there is nothing to look at
                seen = self.evaluate(LOOK, patience=2)
                if seen["ready"] and seen["position"] == position:
                    return seen
            time.sleep(0.02)
        raise AssertionError(f"never at {position!r}: {self.evaluate('document.body.innerText')}")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def tap(self, name):
        box = self.evaluate(f"(() => {{ const r = document.getElementById('{name}').getBoundingClientRect();"
                            "return [r.x + r.width / 2, r.y + r.height / 2]; })()")  # fmt: skip
        at = dict(zip("xy", box, strict=True))
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[at])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def exported(self, count):
        """The newest of `count` exported files."""
        deadline = time.monotonic() + HANGS
        while time.monotonic() < deadline:
            files = sorted(self.folder.glob("survey-*.json"), key=lambda file: file.stat().st_mtime)
            if len(files) == count:
                return files[-1]
            time.sleep(0.02)
        raise AssertionError(f"exported {files}")

    def close(self):
        self.call("Browser.close")
        self.process.wait(HANGS)
        os.close(self.write)
        os.close(self.read)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the page's file, {data URI: "a" or "b"}) of a survey of three pairs."""
    folder = tmp_path_factory.mktemp("survey")
    random = np.random.default_rng(0)
    labels, index = np.arange(6, dtype=np.int64) % 3, np.arange(6, dtype=np.int64)
    sides = {}
    for name in "ab":
        images = random.integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)
        artifacts.save_samples(folder / f"{name}.npz", SampleSet(images, labels, np.zeros(6, np.int64), index))
        sides |= {survey.data_uri(image): name for image in images}
    text = survey.page(folder / "a.npz", folder / "b.npz", NAMES, pairs=3, seed=0)
    (folder / "page.html").write_text(text, encoding="utf-8")
    return folder / "page.html", sides


@pytest.fixture(scope="module")
def chromium(tmp_path_factory, made):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    browser.call("Page.navigate", url=made[0].as_uri())
    browser.look("Pair 1 of 3")
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The page as a new rater sees it."""
    chromium.evaluate("begin(newRater())")
    chromium.look("Pair 1 of 3")
    yield chromium
    for file in chromium.folder.glob("survey-*.json"):
        file.unlink()


def test_an_unfinished_survey_is_exported_as_such(browser, made):
    browser.press("3")
    browser.look("Pair 2 of 3")
    browser.evaluate("document.getElementById('export').click()")
    file = browser.exported(1)
    assert artifacts.load_json(file)["complete"] is False
    assert np.isnan(survey.load_answers([file], survey.load_survey(made[0]), allow_incomplete=True)).sum() == 2


def test_on_a_narrow_touch_screen(browser, made):
    """No sideways scrolling, whole enlargement, taps; a double tap is one answer, a held key none."""
    browser.call("Emulation.setDeviceMetricsOverride", width=320, height=568, deviceScaleFactor=2, mobile=True)
    try:
        seen = browser.look("Pair 1 of 3")
        assert seen["overflow"] <= 0
        assert seen["width"] >= 100 and seen["width"] % SIZE == 0
        browser.tap("left")
        browser.tap("left")
        browser.look("Pair 2 of 3")
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="1", autoRepeat=True)
        browser.look("Pair 2 of 3")
        browser.tap("back")
        browser.look("Pair 1 of 3")
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_what_is_seen_does_not_tell_the_sides(browser, made):
    """The text of a pair is the same with either image on the left."""
    texts = []
    for left in "ab":
        browser.evaluate(f"plan[0] = {{ pair: 0, left: '{left}' }}; show()")
        seen = browser.look("Pair 1 of 3")
        assert made[1][seen["left"]] == left
        texts.append(seen["text"])
    assert texts[0] == texts[1]


def test_every_rater_has_an_order_and_sides_of_their_own(browser):
    state = "".join(f"{word:08x}" for word in (1, 2, 3, 4))
    drawn = browser.evaluate(
        f"(() => {{ const u = stream('{state}'); return [0, 0, 0, 0].map(() => u() * 2 ** 32); }})()"
    )
    assert drawn == [11520, 0, 5927040, 70819200]  # of xoshiro128**, worked out by hand
    words = np.random.default_rng(0).integers(0, 2**32, (400, 4))
    raters = ["".join(f"{word:08x}" for word in words_of_one) for words_of_one in words]
    plans = browser.evaluate(f"{json.dumps(raters)}.map(drawPlan)")
    assert all(sorted(shown["pair"] for shown in plan) == [0, 1, 2] for plan in plans)
    first = np.bincount([plan[0]["pair"] for plan in plans], minlength=3)
    left = sum(shown["left"] == "a" for plan in plans for shown in plan)
    assert (abs(first - 133) < 30).all() and abs(left - 600) < 60  # three standard deviations
    drawn = browser.evaluate("[newRater().rater, newRater().rater]")
    assert drawn[0] != drawn[1] and all(re.fullmatch("[0-9a-f]{32}", rater) for rater in drawn)


def test_a_second_rater_follows_on_the_same_device(browser, made):
    for rater in (1, 2):
        for number in range(1, 4):
            browser.look(f"Pair {number} of 3")
            browser.press("s")
        browser.look("3 of 3 answered")
        assert browser.evaluate("document.getElementById('next').disabled")  # not before the answers are exported
        browser.evaluate("document.getElementById('export').click()")
        browser.exported(rater)
        browser.evaluate("document.getElementById('next').click()")
    files = list(browser.folder.glob("survey-*.json"))
    assert survey.load_answers(files, survey.load_survey(made[0])).shape == (2, 3)


# The last test: right after its start Chromium may lose what a page stores before a reload.
def test_answered_by_keyboard_over_a_reload_and_exported(browser, made):
    """Prefers a, after a correction neither, and b: told by what is shown, whatever the order and the sides."""
    page, sides = made
    keys = {"left": ["ArrowLeft", "1", "l"], "right": ["ArrowRight", "2", "R"]}

    def prefer(side, seen, way):
        browser.press(keys["left" if sides[seen["left"]] == side else "right"][way])

    seen = browser.look("Pair 1 of 3")
    assert {sides[seen["left"]], sides[seen["right"]]} == {"a", "b"}
    prefer("a", seen, 1)
    before = browser.look("Pair 2 of 3")
    browser.reload()
    seen = browser.look("Pair 2 of 3")
    assert [seen[key] for key in ("left", "right")] == [before[key] for key in ("left", "right")]
    prefer("b", seen, 0)
    described = {before["description"], browser.look("Pair 3 of 3")["description"]}
    browser.press("b")
    assert browser.look("Pair 2 of 3")["left"] == before["left"]
    browser.press("ArrowDown")
    prefer("b", browser.look("Pair 3 of 3"), 2)
    end = browser.look("3 of 3 answered")
    assert end["ended"] and not end["warned"]
    browser.evaluate("document.getElementById('export').click()")
    file = browser.exported(1)
    votes = survey.load_answers([file], survey.load_survey(page))
    content = artifacts.load_json(file)
    assert [votes[0, answer["pair"]] for answer in content["answers"]] == [1, 0, -1]
    assert content["complete"] is True and all(answer["seconds"] > 0.2 for answer in content["answers"])
    assert described <= set(NAMES)
    assert {url.partition(":")[0] for url in browser.requested} <= {"file", "data", "blob"}
