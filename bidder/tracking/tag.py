"""The tag: a script that is an impression by being loaded, and says when its ad was in view.

<script src=".../tag/TOKEN"> -> counted as an impression -> half of what it stands in seen for a second -> /view/TOKEN

It asks the browser's IntersectionObserver, which also knows of frames of other origins; where there is none, or where
the script does not know its own address, it does nothing. It reads nothing of page or person, and keeps nothing.
"""

SEEN_SHARE = 0.5  # of the ad, and
SEEN_MS = 1_000  # for so long: a viewable display impression, as the Media Rating Council has it

TAG = f"""(function () {{
  var me = document.currentScript, found = me && /^(.*)\\/tag\\/([\\w-]+)/.exec(me.src), timer = 0;
  if (!found || !window.IntersectionObserver) return;
  var ad = me.parentElement;
  if (!ad || ad.tagName === "HEAD") ad = document.documentElement;
  var observer = new IntersectionObserver(function (entries) {{
    var seen = entries[entries.length - 1].intersectionRatio >= {SEEN_SHARE} && document.visibilityState !== "hidden";
    if (seen && !timer) {{
      timer = setTimeout(function () {{
        observer.disconnect();
        new Image().src = found[1] + "/view/" + found[2];
      }}, {SEEN_MS});
    }} else if (!seen && timer) {{
      clearTimeout(timer);
      timer = 0;
    }}
  }}, {{threshold: [0, {SEEN_SHARE}]}});
  observer.observe(ad);
}})();
""".encode()
