from aichat_workspace.api.web.limits.shares import ALL_TOGETHER, Shares


def test_each_holder_and_all_together_have_a_limit() -> None:
    shares = Shares(overall=5)
    shares.hold(["ann", "team"], 3)
    assert shares.exceeded({"ann": 3, "team": 9}) == "ann"
    assert shares.exceeded({"bob": 3, "team": 3}) == "team"
    assert shares.exceeded({"bob": 9, "team": 9}, 2) is None
    assert shares.exceeded({"bob": 9, "team": 9}, 3) == ALL_TOGETHER


def test_what_grows_is_released_when_its_block_ends() -> None:
    shares = Shares(overall=5)
    with shares.growing({"ann": 4}) as grow:
        assert [grow(3), grow(2), grow(1), shares.total] == [None, "ann", None, 4]
        with shares.growing({"bob": 9}) as grow_other:
            assert [grow_other(2), grow_other(1), shares.total] == [ALL_TOGETHER, None, 5]
        assert shares.total == 4
    assert (shares.total, len(shares._amounts)) == (0, 0)


def test_a_holder_of_nothing_is_forgotten() -> None:
    shares = Shares(overall=5)
    for holder in range(1_000):
        shares.hold([str(holder)], 2)
        shares.release([str(holder)], 2)
        assert shares.exceeded({str(holder): 5}, 5) is None
    assert (shares.total, len(shares._amounts)) == (0, 0)
