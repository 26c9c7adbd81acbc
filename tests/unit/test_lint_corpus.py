"""What the decision answers to real requests, before the linter: nothing to object to."""

from collections import Counter
from pathlib import Path

from bidder.openrtb.lint import Profile, Severity, Violation, lint
from tests.lint_cases.known import objections
from tests.worlds import World, banner, campaign

SIZES = [(300, 250), (320, 50), (728, 90), (160, 600), (300, 600)]
SAFE = '<a href="{click_url}"><img src="https://cdn.acme.example/a.png"></a>'
WARNED = {"deal_price"}  # a deal with at 3 names the price; a campaign bids its own


def test_nobody_objects_to_what_is_answered_to_real_requests(tmp_path: Path, corpus: list[bytes]) -> None:
    creatives = [banner(id=f"{w}x{h}", w=w, h=h, adm=SAFE) for w, h in SIZES]
    world = World(tmp_path, [campaign(f"c-{n}", f"{n}.5", creatives=creatives) for n in range(1, 4)])
    for n in range(1, 4):
        world.fund(f"c-{n}", 10**15)
    profile = Profile(seats=frozenset({"outbid"}))
    wrong: list[tuple[Violation, bytes]] = []
    bids, warned = 0, Counter[str]()
    for body in corpus:
        answer = world.ask(body)
        bids += len(answer.bids)
        found = lint(body, answer.body, status=answer.status, profile=profile)
        wrong += [(one, body) for one in objections(found)]
        warned.update(one.rule for one in found if one.severity is Severity.WARNING)
    assert not wrong, (len(wrong), wrong[:3])
    assert bids > len(corpus) / 4
    assert set(warned) <= WARNED, warned
