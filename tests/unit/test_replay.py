"""Auction replay: the rules of the game, the published strategies, and outbid's own."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.cli.main import main
from bidder.simulator.auction_log import Auction, LogError, lines, made, read
from bidder.simulator.replay import Lin, Mcpc, Outbid, Outcome, Rules, replay
from tests.reference import replay as reference

EIGHTHS = st.integers(0, 64).map(lambda eighths: eighths / 512)  # exact in binary: no rounding but the bid's own
auctions = st.lists(st.builds(Auction, st.integers(0, 1), st.integers(0, 40), EIGHTHS), min_size=1, max_size=60)
rules = st.builds(Rules, st.integers(1, 25), st.integers(1, 120), st.integers(1, 30))


def bought(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.impressions, outcome.clicks, outcome.cost


@given(auctions, rules, st.integers(0, 2_000))
def test_mcpc_buys_what_the_written_down_rules_say(log: list[Auction], rules: Rules, max_cpc: int) -> None:
    expected = reference.replay(log, lambda pctr: pctr * max_cpc, rules.episode, rules.budget, rules.max_bid)
    assert bought(replay(log, Mcpc(max_cpc), rules)) == expected


@given(auctions, rules, st.integers(0, 60))
def test_lin_buys_what_the_written_down_rules_say(log: list[Auction], rules: Rules, base_bid: int) -> None:
    expected = reference.replay(
        log, lambda pctr: pctr * base_bid / Fraction(1, 64), rules.episode, rules.budget, rules.max_bid
    )
    assert bought(replay(log, Lin(base_bid, 1 / 64), rules)) == expected


@given(auctions, rules)
def test_own_strategy_stays_within_budget_and_bid(log: list[Auction], rules: Rules) -> None:
    outcome = replay(log, Outbid(rules), rules)
    assert outcome.cost <= outcome.budget
    dear = [Auction(click, rules.max_bid + 1, pctr) for click, _, pctr in log]
    assert replay(dear, Outbid(rules), rules).impressions == 0


def test_a_bid_at_the_market_price_wins_and_pays_it() -> None:
    rules = Rules(10, 1_000, 300)
    assert bought(replay([Auction(1, 50, 0.5)], Mcpc(100), rules)) == (1, 1, 50)
    assert bought(replay([Auction(1, 51, 0.5)], Mcpc(100), rules)) == (0, 0, 0)


def test_bids_are_truncated_not_rounded() -> None:
    rules = Rules(10, 1_000, 300)
    assert bought(replay([Auction(0, 7, 0.069)], Mcpc(100), rules)) == (0, 0, 0)
    assert bought(replay([Auction(0, 6, 0.069)], Mcpc(100), rules)) == (1, 0, 6)
    assert bought(replay([Auction(0, 7, 0.0069)], Lin(10, 0.01), rules)) == (0, 0, 0)


def test_bids_are_clipped_to_the_highest_and_to_what_is_left() -> None:
    assert bought(replay([Auction(0, 300, 1.0), Auction(0, 301, 1.0)], Mcpc(900), Rules(10, 1_000, 300))) == (1, 0, 300)
    log = [Auction(0, 60, 1.0), Auction(1, 41, 1.0), Auction(1, 40, 1.0), Auction(1, 1, 1.0)]
    assert bought(replay(log, Mcpc(900), Rules(10, 100, 300))) == (2, 1, 100)


def test_every_episode_has_the_whole_budget_and_nothing_of_the_last() -> None:
    log = [Auction(0, 60, 1.0)] * 5
    assert bought(replay(log, Mcpc(900), Rules(2, 110, 300))) == (3, 0, 180)


def test_an_unfinished_last_episode_counts() -> None:
    outcome = replay([Auction(1, 1, 1.0)] * 7, Mcpc(10), Rules(3, 2, 300))
    assert (outcome.auctions, outcome.episodes, outcome.impressions, outcome.budget) == (7, 3, 5, 6)


def test_spend_curve_says_what_share_of_the_budgets_was_spent_by_when() -> None:
    outcome = replay([Auction(0, 1, 1.0)] * 40, Mcpc(10), Rules(20, 10, 300))
    assert list(outcome.curve) == [min(10, at + 1) / 10 for at in range(20)]


def test_win_rate_and_cost_of_a_click() -> None:
    outcome = replay([Auction(1, 5, 1.0), Auction(1, 9, 1.0), Auction(1, 20, 1.0)], Mcpc(10), Rules(3, 100, 300))
    assert (outcome.win_rate, outcome.ecpc) == (2 / 3, 7.0)
    assert replay([Auction(0, 5, 1.0)], Mcpc(10), Rules(3, 100, 300)).ecpc is None


def test_a_click_that_was_not_won_teaches_nothing() -> None:
    rules = Rules(100, 300, 300)
    log = list(made(3, 2_000))
    flipped = [Auction(1 - click, price, pctr) for click, price, pctr in log]
    assert replay(log, Outbid(rules), rules).cost == replay(flipped, Outbid(rules), rules).cost


def test_what_comes_later_changes_nothing_before() -> None:
    rules = Rules(100, 300, 300)
    log = list(made(4, 1_000))
    early = replay(log[:500], Outbid(rules), rules)
    later = log[:500] + [Auction(0, 1, 0.5)] * 500
    both = replay(later, Outbid(rules), rules)
    assert both.cost - early.cost == replay_of_rest(rules, later)


def replay_of_rest(rules: Rules, log: list[Auction]) -> int:
    """Cost of the second half, where the first was bid on too."""
    spent: list[int] = []
    own = Outbid(rules)

    class Watched:
        def begin(self) -> None:
            own.begin()

        def bid(self, pctr: float, left: int) -> int:
            return own.bid(pctr, left)

        def saw(self, auction: Auction, paid: int) -> None:
            spent.append(paid)
            own.saw(auction, paid)

    replay(log, Watched(), rules)
    return sum(spent[500:])


def test_own_strategy_beats_lin_by_as_much_as_rlb_does_in_print() -> None:
    """RLB: 78 clicks where lin with its base bid from the training log has 71. Ten logs; lin has the same training."""
    lin_clicks = own_clicks = 0
    lin_expected = own_expected = 0.0
    for seed in range(10):
        train, log = list(made(1_000 + seed, 30_000)), list(made(seed, 80_000))
        rules = Rules(1_000, int(sum(price for _, price, _ in train) / len(train) * 1_000 / 32), 300)
        average = sum(pctr for _, _, pctr in train) / len(train)
        base = max(range(4, 16, 3), key=lambda bid: replay(train, Lin(bid, average), rules).expected_clicks)
        lin, own = replay(log, Lin(base, average), rules), replay(log, Outbid(rules, train=train), rules)
        assert own.cost <= own.budget
        lin_clicks, own_clicks = lin_clicks + lin.clicks, own_clicks + own.clicks
        lin_expected, own_expected = lin_expected + lin.expected_clicks, own_expected + own.expected_clicks
    assert own_clicks >= 78 / 71 * lin_clicks, (own_clicks, lin_clicks)
    assert own_expected >= 78 / 71 * lin_expected, (own_expected, lin_expected)


def test_own_strategy_spends_its_budget_over_the_whole_episode() -> None:
    rules = Rules(1_000, 1_200, 300)
    outcome = replay(list(made(7, 50_000)), Outbid(rules), rules)
    assert outcome.cost >= 0.9 * outcome.budget
    assert all(abs(share - (at + 1) / 20) < 0.1 for at, share in enumerate(outcome.curve))


def test_a_synthetic_log_is_the_same_for_its_seed_and_reads_back(tmp_path: Path) -> None:
    log = list(made(5, 3_000))
    assert log == list(made(5, 3_000)) != list(made(6, 3_000))
    (tmp_path / "log").write_text("".join(lines(log)))
    assert read(tmp_path / "log") == log


def test_synthetic_prices_spread_and_go_with_click_rates() -> None:
    log = list(made(2, 60_000))
    prices = sorted(price for _, price, _ in log)
    assert prices[0] >= 1
    assert prices[-1] == 300
    assert prices[len(prices) // 10] * 10 < prices[len(prices) * 9 // 10]
    likely = sorted(log, key=lambda auction: auction.pctr)
    low, high = likely[:6_000], likely[-6_000:]
    assert sum(price for _, price, _ in high) > 1.5 * sum(price for _, price, _ in low)
    assert sum(auction.click for auction in log) == pytest.approx(sum(auction.pctr for auction in log), rel=0.2)


@pytest.mark.parametrize(
    "line", ["0 70", "0 70 0.1 4", "2 70 0.1", "0 -1 0.1", "0 7.5 0.1", "0 70 1.5", "0 70 nan", "x 70 0.1", ""]
)
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "log").write_text(f"0 70 0.1\n{line}\n")
    with pytest.raises(LogError, match=r"log:2: "):
        read(tmp_path / "log")


def test_the_verb_prints_what_was_bought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = str(tmp_path / "log")
    assert main(["simulate", "--make", log, "--auctions", "2000", "--seed", "9"]) == 0
    capsys.readouterr()
    asked = ["simulate", "--log", log, "--episode", "500", "--budget", "600", "--max-bid", "300"]
    for strategy in (["mcpc", "--max-cpc", "9000"], ["lin", "--base-bid", "9", "--train", log], ["outbid"]):
        assert main([*asked, "--json", "--strategy", *strategy]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["auctions"], found["episodes"], found["strategy"]) == (2_000, 4, strategy[0])
        assert 0 < found["cost"] <= 2_400
        assert len(found["spend_curve"]) == 20
        assert found["win_rate"] == found["impressions"] / 2_000
    expected = replay(read(tmp_path / "log"), Mcpc(9_000), Rules(500, 600, 300))
    assert main([*asked, "--json", "--strategy", "mcpc", "--max-cpc", "9000"]) == 0
    assert json.loads(capsys.readouterr().out)["cost"] == expected.cost
    assert main([*asked, "--strategy", "mcpc", "--max-cpc", "9000"]) == 0
    assert f"impressions  {expected.impressions:,}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--log", "LOG"], "--log needs --episode, --budget, --max-bid"),
        (["--log", "nowhere", "--episode", "1", "--budget", "1", "--max-bid", "1"], "nowhere: No such file"),
        (["--log", "LOG", "--episode", "0", "--budget", "1", "--max-bid", "1"], "episode 0: at least 1"),
        (
            ["--log", "LOG", "--episode", "1", "--budget", "1", "--max-bid", "1", "--strategy", "lin"],
            "needs --base-bid",
        ),
        (
            ["--log", "LOG", "--episode", "1", "--budget", "1", "--max-bid", "1", "--strategy", "mcpc"],
            "needs --max-cpc",
        ),
        (["--make", "LOG", "--auctions", "0"], "--auctions 0: at least 1"),
    ],
)
def test_what_is_missing_is_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    (tmp_path / "log").write_text("0 70 0.1\n")
    code = main(["simulate", *(str(tmp_path / "log") if option == "LOG" else option for option in options)])
    error = capsys.readouterr().err
    assert code == 1
    assert said in error
    assert error.count("\n") == 1
