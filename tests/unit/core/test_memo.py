"""A table of bounded size."""

from drystone.core.memo import Memo


def test_what_was_put_is_there() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("a", 1)
    assert memo.get("a") == 1
    assert memo.get("b") is None


def test_when_it_is_full_it_begins_anew() -> None:
    memo: Memo[int, str] = Memo(10)
    for number in range(10):
        memo.put(number, "value")
    assert len(memo) == 10
    memo.put(10, "value")
    assert len(memo) == 1
    assert memo.get(10) == "value" and memo.get(0) is None


def test_weights_count_and_what_is_heavier_than_all_may_be_is_not_kept() -> None:
    memo: Memo[str, int] = Memo(10)
    memo.put("light", 1, weight=6)
    memo.put("too heavy", 2, weight=11)
    assert memo.get("light") == 1 and memo.get("too heavy") is None
    memo.put("heavy", 3, weight=5)
    assert memo.get("light") is None and memo.get("heavy") == 3


def test_one_that_may_have_nothing_has_nothing() -> None:
    memo: Memo[str, int] = Memo(0)
    memo.put("a", 1)
    assert memo.get("a") is None and len(memo) == 0
