"""The slow, obvious truth of caps: a window keeps its impressions, and every bid that may still become one."""

from dataclasses import dataclass, field


@dataclass
class Window:
    begins_s: int
    ends_s: int
    impressions: int = 0
    bids: list[tuple[int, int]] = field(default_factory=list)  # second, hold


class Windows:
    """Of one table. A hold ends between `hold_s` and `longest` times `hold_s` after the bid, nobody knows when."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._windows: dict[int, Window] = {}

    def running(self, key: int, now_s: int) -> Window | None:
        window = self._windows.get(key)
        return window if window is not None and now_s < window.ends_s else None

    def least(self, key: int, now_s: int) -> int:
        return self._count(key, now_s, 1)

    def most(self, key: int, now_s: int) -> int:
        return self._count(key, now_s, self._longest)

    def _count(self, key: int, now_s: int, times: int) -> int:
        window = self.running(key, now_s)
        if window is None:
            return 0
        return window.impressions + sum(now_s < bid_s + times * hold_s for bid_s, hold_s in window.bids)

    def _begun(self, key: int, now_s: int, per_s: int) -> Window:
        window = self.running(key, now_s)
        if window is None:
            window = self._windows[key] = Window(now_s, now_s + per_s)
        return window

    def bid(self, key: int, now_s: int, per_s: int, hold_s: int) -> None:
        self._begun(key, now_s, per_s).bids.append((now_s, hold_s))

    def shown(self, key: int, bid_s: int, now_s: int, per_s: int, hold_s: int) -> int:
        window = self._begun(key, now_s, per_s)
        if now_s < bid_s + hold_s and bid_s >= window.begins_s:
            window.bids.remove((bid_s, hold_s))
        window.impressions += 1
        return window.impressions

    def lost(self, key: int, bid_s: int, now_s: int, hold_s: int) -> bool:
        window = self.running(key, now_s)
        if window is None or bid_s < window.begins_s or now_s >= bid_s + hold_s:
            return False
        window.bids.remove((bid_s, hold_s))
        return True
