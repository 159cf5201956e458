import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
import torch

from selfpose6d import threads
from selfpose6d.threads import map_in_threads, num_threads


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(threads, "_layer", lambda: "omp")
    monkeypatch.setattr(threads, "num_threads", lambda: 2)


@pytest.mark.usefixtures("two_threads")
def test_results_come_in_the_order_of_the_items_from_several_threads():
    both = threading.Barrier(2, timeout=30)

    def call(item: int) -> tuple[int, int]:
        both.wait()  # breaks unless two run at once
        return item, threading.get_ident()

    found = list(map_in_threads(call, range(4)))
    assert [item for item, _ in found] == [0, 1, 2, 3]
    assert len({thread for _, thread in found}) == 2


@pytest.mark.usefixtures("two_threads")
def test_kernels_within_a_thread_use_one_core_and_others_as_many_as_before():
    before = numba.get_num_threads(), torch.get_num_threads()
    libraries = torch.__config__.parallel_info()
    found = list(map_in_threads(lambda _: (numba.get_num_threads(), torch.get_num_threads()), range(3)))
    assert found == [(1, 1)] * 3
    assert (numba.get_num_threads(), torch.get_num_threads()) == before
    assert torch.__config__.parallel_info() == libraries
    with ThreadPoolExecutor(1) as pool:  # a thread that begins later
        assert pool.submit(torch.get_num_threads).result() == before[1]


def test_the_first_item_of_a_process_runs_alone(monkeypatch):
    monkeypatch.setattr(threads, "_layer", lambda: "")
    monkeypatch.setattr(threads, "num_threads", lambda: 2)
    here = threading.get_ident()
    found = list(map_in_threads(lambda item: (item, threading.get_ident()), range(3)))
    assert [item for item, _ in found] == [0, 1, 2]
    assert found[0][1] == here
    assert here not in [thread for _, thread in found[1:]]


def test_before_any_kernel_has_run_nothing_is_known(monkeypatch):
    def not_yet() -> str:
        raise ValueError("Threading layer is not initialized.")

    monkeypatch.setattr(numba, "threading_layer", not_yet)
    assert num_threads() == 1


@pytest.mark.usefixtures("two_threads")
def test_an_error_within_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda item: 1 // item, [1, 0]))


def test_one_item_or_one_allowed_thread_stays_in_the_caller(monkeypatch):
    here = threading.get_ident()
    monkeypatch.setattr(threads, "_layer", lambda: "omp")
    assert list(map_in_threads(lambda _: threading.get_ident(), [0])) == [here]
    monkeypatch.setattr(threads, "num_threads", lambda: 1)
    assert list(map_in_threads(lambda _: threading.get_ident(), [0, 1])) == [here, here]


@pytest.mark.parametrize(("layer", "expected"), [("omp", 2), ("tbb", 2), ("workqueue", 1)])
def test_a_threading_layer_that_is_not_safe_allows_one_thread(monkeypatch, layer, expected):
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(numba, "threading_layer", lambda: layer)
    assert num_threads() == expected
