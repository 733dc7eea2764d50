"""Budgets before a clock that is set."""

from aichat_workspace.kube.write_budgets import WriteBudgets


class Budgets:
    def __init__(self) -> None:
        self.now = 0.0
        self.budgets: WriteBudgets[str] = WriteBudgets(lambda: self.now)

    def writes(self, seconds: float, cost: float, key: str = "a") -> int:
        """Write as often as the budget allows. Return how often that was."""
        until, count = self.now + seconds, 0
        while (wait := self.budgets.wait_seconds(key)) + self.now < until:
            self.now += wait + 0.001
            self.budgets.spend(key, cost)
            count += 1
        return count


def test_first_writes_do_not_wait_and_a_fight_is_slow() -> None:
    budgets = Budgets()
    assert 29 <= budgets.writes(1.0, cost=1.0) <= 31
    assert 5 <= budgets.writes(60.0, cost=1.0) <= 7, "about six a minute"


def test_a_key_that_rested_may_write_at_once_again() -> None:
    budgets = Budgets()
    budgets.writes(1.0, cost=1.0)
    budgets.now += 300
    assert budgets.budgets.wait_seconds("a") == 0
    assert budgets.writes(1.0, cost=1.0) >= 29


def test_a_status_each_second_never_waits() -> None:
    budgets = Budgets()
    for _ in range(3600):
        assert budgets.budgets.wait_seconds("a") == 0
        budgets.budgets.spend("a", 0.05)
        budgets.now += 1
    assert budgets.writes(1.0, cost=1.0) >= 29, "and leaves room for repairs"


def test_one_keys_fight_delays_no_other() -> None:
    budgets = Budgets()
    budgets.writes(1.0, cost=1.0)
    assert budgets.budgets.wait_seconds("b") == 0


def test_a_key_is_forgotten_once_its_budget_is_full() -> None:
    budgets = Budgets()
    for key in map(str, range(100)):
        budgets.budgets.spend(key, 1.0)
    budgets.now += 600
    budgets.budgets.spend("last", 1.0)
    assert len(budgets.budgets) == 1
    budgets.budgets.spend("free", 0.0)
    assert len(budgets.budgets) == 1
