"""Banner, video, audio, native: sizes, markup, VAST, assets."""

from typing import Any

from tests.lint_cases.good import BANNER, DROP, NATIVE_ANSWER, NATIVE_REQUEST, native_changed, vast, wrapper

Break = tuple[str, str, dict[str, Any]]
IMP = "request.imp.0"
VPAID = ' apiFramework="VPAID"'
COMPANION = '<Creative><CompanionAds><Companion width="728" height="90"/></CompanionAds></Creative>'


def native(rule: str, **changes: Any) -> Break:
    """An answer that breaks it."""
    return rule, "native", {"bid.adm": native_changed(NATIVE_ANSWER, **changes)}


def asked(rule: str, **changes: Any) -> Break:
    """A request that the good answer does not serve."""
    return rule, "native", {f"{IMP}.native.request": native_changed(NATIVE_REQUEST, **changes)}


BREAKS: list[Break] = [
    ("size", "banner", {"bid.w": 250, "bid.h": 300}),
    ("size", "banner", {f"{IMP}.banner": {"w": 320, "h": 50}}),
    ("size", "banner", {f"{IMP}.banner": {"wmin": 200, "wmax": 299, "hmin": 200, "hmax": 300}}),
    ("size", "banner", {f"{IMP}.banner": {"format": [{"wratio": 16, "hratio": 9, "wmin": 100}]}}),
    ("size_interstitial", "banner", {"bid.w": 320, "bid.h": 480, f"{IMP}.instl": 1}),
    ("size_absent", "banner", {"bid.w": DROP, "bid.h": DROP}),
    ("size_absent", "banner", {"bid.h": DROP, f"{IMP}.banner": {"wmin": 200, "hmin": 200}}),
    ("banner_markup", "banner", {"bid.adm": vast()}),
    ("banner_markup", "banner", {"bid.adm": '{"native":{}}'}),
    ("btype", "banner", {f"{IMP}.banner.btype": [3], "bid.adm": f"<SCRIPT>1</SCRIPT>{BANNER}"}),
    ("btype", "banner", {f"{IMP}.banner.btype": [4], "bid.adm": '<iframe src="https://cdn.acme.example/"></iframe>'}),
    ("mtype_ambiguous", "video", {"bid.mtype": DROP, f"{IMP}.audio": {"mimes": ["audio/mpeg"]}}),
    ("mtype_ambiguous", "banner", {"bid.mtype": DROP, f"{IMP}.banner": None}),
    ("vast", "video", {"bid.adm": "<VAST"}),
    ("vast", "video", {"bid.adm": BANNER}),
    ("vast", "audio", {"bid.adm": '<VAST version="3.0"/>'}),
    ("vast", "video", {"bid.adm": vast("1.0")}),
    ("vast", "video", {"bid.adm": vast().replace("<VAST", "<!DOCTYPE VAST [<!ENTITY a 'b'>]><VAST", 1)}),
    ("vast", "video", {"bid.adm": vast(seconds="15")}),
    ("vast", "video", {"bid.adm": vast().replace("Impression>", "Impressions>")}),
    ("vast", "video", {"bid.adm": vast().replace("MediaFile", "File")}),
    ("vast", "video", {"bid.adm": vast().replace("Linear", "Lunar")}),
    ("vast", "audio", {"bid.adm": wrapper().replace("VASTAdTagURI", "Tag")}),
    ("vast_fields", "video", {"bid.adm": vast().replace("AdTitle", "Title")}),
    ("vast_fields", "audio", {"bid.adm": vast("4.2", mime="audio/mpeg").replace("UniversalAdId", "AdId")}),
    ("vast_version", "audio", {f"{IMP}.audio.protocols": [2]}),
    ("vast_version", "audio", {"bid.adm": wrapper()}),
    ("vast_url", "video", {"bid.adm": vast().replace("https://cdn", "//cdn")}),
    ("vast_url", "video", {"bid.adm": vast().replace("start?cb", "st art?cb")}),
    ("vast_pod", "audio", {"bid.adm": vast(mime="audio/mpeg", ads=2), "bid.dur": 30}),
    ("protocol", "video", {"bid.protocol": 2}),
    ("protocol", "video", {"bid.protocol": 6}),
    ("duration", "video", {"bid.adm": vast(seconds="00:00:31"), "bid.dur": 31}),
    ("duration", "video", {"bid.adm": vast(seconds="00:00:04"), "bid.dur": 4}),
    ("duration", "video", {f"{IMP}.video.rqddurs": [30, 60]}),
    ("duration", "audio", {f"{IMP}.audio.poddur": 10}),
    ("duration", "audio", {"bid.adm": DROP, "bid.dur": 90}),
    ("dur_differs", "video", {"bid.dur": 20}),
    ("media_mime", "video", {f"{IMP}.video.mimes": ["video/webm"]}),
    ("media_mime", "audio", {"bid.adm": vast()}),
    ("media_bitrate", "video", {f"{IMP}.video.minbitrate": 900}),
    ("media_bitrate", "video", {f"{IMP}.video.maxbitrate": 700}),
    ("media_size", "video", {"bid.w": 1920, "bid.h": 1080}),
    ("delivery", "video", {f"{IMP}.video.delivery": [1]}),
    ("vpaid", "video", {"bid.adm": vast(media=VPAID)}),
    ("vpaid", "video", {"bid.adm": vast(media=VPAID), f"{IMP}.video.api": [7]}),
    (
        "vpaid",
        "video",
        {"bid.adm": vast(more=f"<Creative><NonLinearAds><NonLinear{VPAID}/></NonLinearAds></Creative>")},
    ),
    ("linearity", "video", {f"{IMP}.video.linearity": 2}),
    ("skip", "video", {"bid.adm": vast(linear=' skipoffset="00:00:05"'), "bid.attr": [16]}),
    ("skip", "video", {"bid.attr": [16], f"{IMP}.video.skip": 1, f"{IMP}.video.skipmin": 15}),
    ("skip_attr", "video", {"bid.adm": vast(linear=' skipoffset="00:00:05"'), f"{IMP}.video.skip": 1}),
    ("companion", "video", {"bid.adm": vast(more=COMPANION), f"{IMP}.video.companionad": [{"w": 300, "h": 250}]}),
    ("native", "native", {"bid.adm": "{"}),
    ("native", "native", {"bid.adm": "[]"}),
    ("native", "native", {"bid.adm": '{"native":7}'}),
    native("native_link", link=DROP),
    native("native_link", link__url=""),
    native("native_required", assets__1=DROP),
    native("native_required", assets=DROP),
    native("native_asset", assets__2={"id": 9, "data": {"value": "?"}}),
    native("native_asset", assets__2={"id": 1, "title": {"text": "again"}}),
    native("native_asset", assets__2={"id": 3, "title": {"text": "no data"}}),
    native("native_asset", assets__2={"id": 3}),
    native("native_asset", assets__2={"id": 3, "data": {}}),
    native("native_length", assets__0__title__text="t" * 26),
    native("native_length", assets__2__data__value="d" * 91),
    native("native_image", assets__1__img__w=320),
    native("native_image", assets__4__img__h=49),
    native("native_image", assets__1__img__url="https://cdn.acme.example/a.gif"),
    native("native_url", assets__1__img__url="cdn.acme.example/a.png"),
    native("native_url", link__url="acme://spring"),
    native("native_url", link__clicktrackers=["https://track.example/a b"]),
    native("native_url", imptrackers=[7]),
    native("native_url", eventtrackers__0__url=DROP),
    native("native_tracker", eventtrackers__0__event=2),
    native("native_tracker", eventtrackers__0__method=3),
    native("native_version", ver="1.3"),
    native("vast", assets__3__video__vasttag=""),
    native("duration", assets__3__video__vasttag=vast(seconds="00:01:00")),
    asked("native_version", ver="1.1"),
    asked("native_tracker", eventtrackers=DROP),
    asked("native_length", assets__0__title__len=5),
    asked("native_required", assets__5={"id": 8, "required": 1, "data": {"type": 2}}),
]
