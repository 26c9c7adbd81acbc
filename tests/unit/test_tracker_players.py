"""What pages and players tell: in view, begun, played so far, and what could not be played."""

from http import HTTPStatus
from pathlib import Path

import pytest

from bidder.events.schema import NoticeKind
from bidder.money.tokens import FLAG_TEST, TokenClass
from bidder.tracking.handlers import PIXEL
from bidder.tracking.tag import TAG
from tests.trackers import House, play

PATHS = {
    "view": NoticeKind.VIEWABLE,
    "start": NoticeKind.START,
    "q1": NoticeKind.FIRST_QUARTILE,
    "mid": NoticeKind.MIDPOINT,
    "q3": NoticeKind.THIRD_QUARTILE,
    "complete": NoticeKind.COMPLETE,
}


@pytest.mark.parametrize(("path", "kind"), PATHS.items())
def test_each_is_a_pixel_and_is_written_once(tmp_path: Path, path: str, kind: NoticeKind) -> None:
    async def scene(h: House) -> None:
        await h.always(f"/{path}/{h.token(cls=TokenClass.PAGE)}?price=1", PIXEL, "image/gif")
        assert (await h.fetch(f"/{path}/{h.token()}")).code == HTTPStatus.BAD_REQUEST
        [notice] = h.written()
        assert (notice.kind, notice.flags, notice.price) == (kind, 0, 0)

    play(tmp_path, scene)


def test_the_tag_is_an_impression_like_the_pixel_and_the_two_count_once(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        page = h.token(cls=TokenClass.PAGE)
        await h.always(f"/tag/{page}?price=1", TAG, "text/javascript; charset=utf-8")
        assert (await h.fetch(f"/imp/{page}")).body == PIXEL
        assert (await h.fetch(f"/tag/{h.token()}")).code == HTTPStatus.BAD_REQUEST
        assert [(n.kind, n.flags) for n in h.written()] == [(NoticeKind.IMPRESSION, 0)]

    play(tmp_path, scene)


def test_errors_of_players_are_counted_by_code_and_written_nowhere(tmp_path: Path) -> None:
    async def scene(h: House) -> None:
        page = h.token(cls=TokenClass.PAGE)
        for code in ("405", "405", "[ERRORCODE]", "1000000", "-1", "٣"):
            answer = await h.fetch(f"/error/{page}?code={'%D9%A3' if code == '٣' else code}")
            assert (answer.code, answer.body) == (HTTPStatus.OK, PIXEL)
        assert (await h.fetch(f"/error/{page}")).code == HTTPStatus.OK
        assert (await h.fetch(f"/error/{h.token(cls=TokenClass.PAGE, flags=FLAG_TEST)}?code=900")).body == PIXEL
        assert (await h.fetch(f"/error/{h.token()}?code=405")).code == HTTPStatus.BAD_REQUEST
        assert h.desk.statistics()["player_errors"] == {"0": 5, "405": 2}
        assert h.written() == []

    play(tmp_path, scene)
