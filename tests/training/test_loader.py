"""Order, fractions and read-ahead of the batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.crops.store import open_crop_store
from selfpose6d.errors import UsageError
from selfpose6d.training.loader import BatchOrder, ProcessPart, RecordLoader, require_batch, step_generator


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 5))
def test_every_epoch_sees_every_instance_once(count, batch, seed):
    numbers = np.arange(100, 100 + count)
    order = BatchOrder(numbers, batch, seed, ProcessPart())
    steps = -(-3 * count // batch)
    seen = np.concatenate([order.indices(step) for step in range(steps)])
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == numbers.tolist()


def test_any_step_can_be_asked_for_on_its_own():
    numbers = np.arange(13)
    straight = BatchOrder(numbers, 5, 0, ProcessPart())
    expected = [straight.indices(step).tolist() for step in range(10)]
    assert [
        BatchOrder(numbers, 5, 0, ProcessPart()).indices(step).tolist() for step in reversed(range(10))
    ] == expected[::-1]


def test_epochs_and_seeds_have_orders_of_their_own():
    order = BatchOrder(np.arange(40), 40, 0, ProcessPart())
    assert order.indices(0).tolist() != order.indices(1).tolist()
    assert order.indices(0).tolist() != BatchOrder(np.arange(40), 40, 1, ProcessPart()).indices(0).tolist()


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_a_batch(world):
    numbers = np.arange(20)
    whole = BatchOrder(numbers, 7, 0, ProcessPart()).indices(2)
    parts = [BatchOrder(numbers, 7, 0, ProcessPart(rank, world)).indices(2) for rank in range(world)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_more_processes_than_instances_a_step_are_refused():
    require_batch(4, 4)
    with pytest.raises(UsageError, match=r"--batch 4 is less than the 5 processes.*Raise it to 5"):
        require_batch(4, 5)
    with pytest.raises(UsageError, match="--batch 2 is less than the 3 processes"):
        BatchOrder(np.arange(20), 2, 0, ProcessPart(0, 3))


def test_reading_ahead_gives_the_right_records_in_any_order(dataset, cache):
    store = open_crop_store(dataset, 32, cache)
    order = BatchOrder(np.arange(len(store)), 3, 0, ProcessPart())
    loader = RecordLoader(store, order)
    for step in (0, 1, 2, 7, 8, 1):
        samples = loader.load(step)
        assert np.array_equal(samples.index, order.indices(step))
        assert np.array_equal(samples.records["key"], store.keys[samples.index])
    loader.close()


def test_draws_follow_seed_step_and_process():
    first = step_generator(0, 5, ProcessPart(), "cpu").initial_seed()
    assert first == step_generator(0, 5, ProcessPart(), "cpu").initial_seed()
    others = {
        step_generator(*a, "cpu").initial_seed()
        for a in ((1, 5, ProcessPart()), (0, 6, ProcessPart()), (0, 5, ProcessPart(1, 2)))
    }
    assert len(others | {first}) == 4
