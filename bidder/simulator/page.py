"""The page that shows an ad: what a browser would load of the markup, and where a click would go.

read(adm) -> Page. Scripts are not run. Who loads what is for the courier, which goes to this machine only.
"""

from html.parser import HTMLParser
from typing import NamedTuple


class Page(NamedTuple):
    """URLs in the order of the markup."""

    images: tuple[str, ...]
    links: tuple[str, ...]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images += [value for name, value in attrs if name == "src" and value]
        elif tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def read(adm: str) -> Page:
    """Also of markup that is broken, as browsers do."""
    reader = _Reader()
    reader.feed(adm)
    reader.close()
    return Page(tuple(reader.images), tuple(reader.links))
