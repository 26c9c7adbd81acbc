"""The tag in a page that is made of stand-ins: what it loads, and when, by what the browser says is seen."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from bidder.tracking.tag import SEEN_MS, TAG

NODE = shutil.which("node")
SRC = "https://t.example/x/tag/To-k_en?price=1"
VIEW = "https://t.example/x/view/To-k_en"
# A page: `steps` are shares of the ad that come into view, waits in ms, or the tab's state.
PAGE = """
var loaded = [], timers = [], now = 0, watched = null, told = null;
global.Image = function () { Object.defineProperty(this, "src", {set: function (url) { loaded.push([now, url]); }}); };
global.setTimeout = function (run, ms) { timers.push({run: run, at: now + ms, live: true}); return timers.length; };
global.clearTimeout = function (n) { timers[n - 1].live = false; };
global.window = global;
global.document = {currentScript: input.script, documentElement: "page", visibilityState: "visible"};
if (input.observer) global.IntersectionObserver = window.IntersectionObserver = function (hear) {
  this.observe = function (ad) { watched = ad; told = hear; };
  this.disconnect = function () { told = null; };
};
(0, eval)(input.tag);
input.steps.forEach(function (step) {
  if (typeof step === "string") document.visibilityState = step;
  else if (step <= 1) { if (told) told([{intersectionRatio: 0}, {intersectionRatio: step}]); }
  else {
    now += step;
    timers.forEach(function (one) { if (one.live && one.at <= now) { one.live = false; one.run(); } });
  }
});
console.log(JSON.stringify({loaded: loaded.map(function (one) { return one[1]; }), watched: watched}));
"""

pytestmark = pytest.mark.skipif(NODE is None, reason="no node to run a script with")


def shown(steps: list[Any], src: str | None = SRC, observer: bool = True, parent: Any = "ad") -> dict[str, Any]:
    script = None if src is None else {"src": src, "parentElement": parent}
    given = json.dumps({"tag": TAG.decode(), "script": script, "observer": observer, "steps": steps})
    assert NODE is not None
    run = subprocess.run([NODE, "-e", f"var input = {given};{PAGE}"], check=True, capture_output=True, timeout=20)
    found = json.loads(run.stdout)
    assert isinstance(found, dict)
    return found


def test_half_an_ad_for_a_second_is_a_view_once() -> None:
    assert shown([0.5, SEEN_MS, 0, 1, SEEN_MS, SEEN_MS]) == {"loaded": [VIEW], "watched": "ad"}


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [0.49, 10 * SEEN_MS],
        [0.5, SEEN_MS - 1, 0.2, SEEN_MS],
        [1, SEEN_MS - 1, 0, 1, SEEN_MS - 1],
        ["hidden", 1, SEEN_MS],
    ],
)
def test_less_is_none(steps: list[Any]) -> None:
    assert shown(steps)["loaded"] == []


def test_a_script_in_the_head_watches_the_page() -> None:
    assert shown([1, SEEN_MS], parent={"tagName": "HEAD"}) == {"loaded": [VIEW], "watched": "page"}
    assert shown([1, SEEN_MS], parent=None)["watched"] == "page"


@pytest.mark.parametrize("how", [{"observer": False}, {"src": None}, {"src": "https://t.example/copy.js"}])
def test_where_it_cannot_know_it_does_nothing(how: dict[str, Any]) -> None:
    assert shown([1, SEEN_MS], **how) == {"loaded": [], "watched": None}
