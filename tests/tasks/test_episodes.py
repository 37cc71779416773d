"""N-way K-shot episodes: fair, disjoint, and the same whatever the batch."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quickstudy.errors import NotEnoughExamples, UnknownName, UserError
from quickstudy.pytree import tree_leaves
from quickstudy.task import Task, check_task, is_padded, take, trim
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import SPLITS, Pool


def pool_of(sizes: list[int], split: str = "train", seed: int = 0) -> Pool:
    """Rows in random order; the only feature of a row is its number."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return Pool.of(torch.arange(float(len(labels))).unsqueeze(1), labels, split=dict.fromkeys(range(len(sizes)), split))


SMALL = pool_of([9] * 6)


def same(a: Task, b: Task) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True))


@st.composite
def sources(draw: st.DrawFn) -> Episodes:
    """Any pool with any ways, shots and queries that it can serve."""
    sizes = draw(st.lists(st.integers(2, 12), min_size=1, max_size=9))
    ways = sorted(draw(st.lists(st.integers(1, len(sizes)), min_size=2, max_size=2)))
    shots = sorted(draw(st.lists(st.integers(1, min(sizes) - 1), min_size=2, max_size=2)))
    queries = draw(st.integers(1, min(sizes) - shots[1]))
    split = draw(st.sampled_from(SPLITS))
    return Episodes(
        pool_of(sizes, split, draw(st.integers(0, 3))),
        ways=draw(st.sampled_from([ways[1], (ways[0], ways[1])])),
        shots=draw(st.sampled_from([shots[1], (shots[0], shots[1])])),
        queries=queries,
        seed=draw(st.integers(0, 2**40)),
        split=split,
    )


def ends(count: int | tuple[int, int]) -> tuple[int, int]:
    return (count, count) if isinstance(count, int) else count


@settings(deadline=None)
@given(source=sources(), first=st.integers(0, 2**39))
def test_every_episode_is_what_was_asked_for(source: Episodes, first: int) -> None:
    tasks = source.sample(first, 4)
    assert is_padded(tasks) == any(low < high for low, high in (ends(source.ways), ends(source.shots)))
    for number in range(4):
        task = trim(take(tasks, number))
        check_task(task)
        assert task.origin is not None
        assert task.origin.classes is not None
        support, query, classes = task.origin.support, task.origin.query, task.origin.classes
        assert task.ways is not None
        assert ends(source.ways)[0] <= task.ways <= ends(source.ways)[1]
        assert len(set(classes.tolist())) == task.ways == len(classes)
        shots = torch.bincount(task.support.y, minlength=task.ways)
        assert (shots == shots[0]).all()
        assert ends(source.shots)[0] <= shots[0] <= ends(source.shots)[1]
        assert torch.bincount(task.query.y).tolist() == [source.queries] * task.ways
        rows = support.tolist() + query.tolist()
        assert len(set(rows)) == len(rows)  # support and query share no example, and none comes twice
        for side, ids in ((task.support, support), (task.query, query)):
            assert torch.equal(source.pool.y[ids], classes[side.y])
            assert torch.equal(side.x, source.pool.x[ids])


@settings(deadline=None)
@given(source=sources(), first=st.integers(0, 2**39), before=st.integers(0, 5), count=st.integers(1, 6))
def test_an_episode_is_the_same_in_every_batch(source: Episodes, first: int, before: int, count: int) -> None:
    before = before % count
    alone, batch = source.sample(first + before, 1), source.sample(first, count)
    assert same(take(alone, 0), take(batch, before))
    assert source.manifest(count, first=first, batch=1) == source.manifest(count, first=first, batch=count)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**40), other=st.integers(0, 2**40))
def test_seeds_differ(seed: int, other: int) -> None:
    assume(seed != other)
    a, b = Episodes(SMALL, ways=3, queries=2, seed=seed), Episodes(SMALL, ways=3, queries=2, seed=other)
    assert a.manifest(5) != b.manifest(5)
    assert a.manifest(5) == b.replaced(seed=seed).manifest(5)


def test_splits_share_no_class_and_differ_in_their_draws() -> None:
    pool = pool_of([5] * 12).resplit((1, 1, 1), by="class")
    source = Episodes(pool, ways=3, shots=1, queries=2)
    seen = [set(s.sample(0, 50).origin.classes.flatten().tolist()) for s in (source, source.validation, source.test)]  # type: ignore[union-attr]
    assert [len(s) for s in seen] == [4, 4, 4]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    of_places = []
    for side in (source, source.validation, source.test):  # where in its split, and not which, each class is
        origin = side.sample(0, 50).origin
        assert origin is not None
        of_places.append(torch.searchsorted(pool.members(side.split), origin.classes))  # type: ignore[arg-type]
    assert not torch.equal(of_places[0], of_places[1])
    assert not torch.equal(of_places[1], of_places[2])


def uniform(counts: torch.Tensor) -> bool:
    """Whether counts may come from a uniform distribution: within 5 standard deviations."""
    expected = counts.sum().item() / counts.numel()
    return bool((counts - expected).abs().max() < 5 * math.sqrt(expected))


def test_labels_and_their_order_are_random_and_uniform() -> None:
    tasks = Episodes(SMALL, ways=3, shots=2, queries=2).sample(0, 6000)
    assert tasks.origin is not None
    assert tasks.origin.classes is not None
    for label in range(3):  # any class may get any label
        assert uniform(torch.bincount(tasks.origin.classes[:, label], minlength=6))
    for side in (tasks.support, tasks.query):  # any label may stand at any place
        for place in range(6):
            assert uniform(torch.bincount(side.y[:, place], minlength=3))
    assert uniform(torch.bincount(tasks.origin.support.flatten(), minlength=54))
    assert uniform(torch.bincount(tasks.origin.query.flatten(), minlength=54))
    together = torch.bincount(3 * tasks.support.y[:, 0] + tasks.query.y[:, 0], minlength=9)
    assert uniform(together)  # the order of one side says nothing about the other's


def test_numbers_of_ways_and_shots_are_uniform_within_their_range() -> None:
    tasks = Episodes(SMALL, ways=(2, 5), shots=(1, 4), queries=1).sample(0, 4000)
    assert tasks.query.mask is not None
    assert tasks.support.mask is not None
    ways, support = tasks.query.mask.sum(1), tasks.support.mask.sum(1)
    shots = support // ways
    assert torch.equal(shots * ways, support)
    assert uniform(torch.bincount(ways, minlength=6)[2:])
    assert uniform(torch.bincount(shots, minlength=5)[1:])
    assert uniform(torch.bincount(4 * (ways - 2) + shots - 1, minlength=16))


def test_the_episodes_of_a_seed_are_a_promise() -> None:
    """Published results name a seed: this hash may never change."""
    pool = Pool.of(torch.zeros(60, 1), [i % 6 for i in range(60)])
    assert (
        Episodes(pool, ways=3, shots=2, queries=3, seed=7).manifest(20)
        == "fd2e07711fd097456a9d6953f66ea16b61cf9fcc3ee12a027dcc592e5bb102bf"
    )
    ragged = Episodes(pool, ways=(2, 5), shots=(1, 4), queries=3, seed=7, split="train")
    rows = ragged.sample(1000, 2).origin.support  # type: ignore[union-attr]
    assert rows[:, :6].tolist() == [[57, 51, 31, 49, 1, 10], [50, 15, 46, 52, 18, 20]]


def test_manifests_tell_numbers_of_shots_apart() -> None:
    source = Episodes(SMALL, ways=3, shots=(1, 4), queries=2)
    assert source.manifest(10) != source.replaced(shots=(3, 4)).manifest(10)
    with pytest.raises(UserError, match="at least one"):
        source.manifest(0)


def test_the_global_generators_are_neither_read_nor_moved() -> None:
    source = Episodes(SMALL, ways=3, queries=2)
    before, torch_state = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # type: ignore[index, union-attr]
    first = source.sample(0, 3)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]
    assert torch.equal(torch_state, torch.random.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert same(first, source.sample(0, 3))


def test_bytes_are_scaled_and_floats_are_left_alone() -> None:
    labels = [0, 0, 1, 1]
    for x in (torch.tensor([0, 51, 102, 255], dtype=torch.uint8), torch.tensor([-3.5, 0.1, 1e6, 7.0])):
        for dtype in [x.dtype] if x.dtype == torch.uint8 else [torch.float32, torch.float64, torch.float16]:
            pool = Pool.of(x.to(dtype).unsqueeze(1), labels)
            task = take(Episodes(pool, ways=2, shots=1, queries=1).sample(0, 1), 0)
            assert task.origin is not None
            found = torch.cat([task.support.x, task.query.x])[:, 0]
            rows = torch.cat([task.origin.support, task.origin.query])
            if dtype == torch.uint8:
                assert found.dtype == torch.float32
                assert torch.equal(found, torch.tensor([0.0, 0.2, 0.4, 1.0])[rows])
            else:
                assert found.dtype == dtype
                assert torch.equal(found, x.to(dtype)[rows])


def test_changing_a_task_leaves_the_pool_alone() -> None:
    pool = pool_of([4, 4])
    task = Episodes(pool, ways=2, queries=2).sample(0, 1)
    task.support.x.fill_(-1)
    assert pool.x.min() == 0


def test_a_memory_mapped_pool_is_read_where_a_task_needs_it(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    n, side = 1 << 13, 256  # 512 MiB, of which the disk holds only what is written below
    path = tmp_path / "pool.bin"
    with path.open("wb") as file:
        file.truncate(n * side * side)
    written = np.memmap(path, np.uint8, "r+", shape=(n, side, side))
    written[::128, 0, 0] = 255
    written.flush()
    x = torch.from_numpy(np.memmap(path, np.uint8, "c", shape=(n, side, side)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pool = Pool.of(x, np.arange(n) // 128)
    task = take(Episodes(pool, ways=3, shots=2, queries=5).sample(0, 2), 0)
    assert task.query.x.shape == (15, side, side)
    assert task.origin is not None
    assert torch.equal(task.query.x[:, 0, 0], (task.origin.query % 128 == 0).float())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 1 << 28


def test_too_few_examples_names_the_classes() -> None:
    pool = Pool.of(torch.zeros(20, 1), ["owl"] * 4 + ["lynx"] * 2 + ["ape"] * 14)
    with pytest.raises(NotEnoughExamples) as error:
        Episodes(pool, ways=2, shots=1, queries=4)
    assert str(error.value) == (
        "A task needs 1 support + 4 query examples of each class, but 'lynx' has 2, 'owl' has 4."
        " Lower shots or queries, or leave these classes out."
    )
    with pytest.raises(NotEnoughExamples, match=r"needs 4 support .* 2 more classes have too few"):
        Episodes(pool_of([5] * 5), ways=2, shots=(1, 4), queries=2)


def test_too_few_classes_says_of_which_split() -> None:
    with pytest.raises(NotEnoughExamples, match="needs 7 classes, but the train split of 'examples' has 6"):
        Episodes(SMALL, ways=(2, 7))
    with pytest.raises(NotEnoughExamples, match="the test split of 'examples' has 0"):
        _ = Episodes(SMALL, queries=2).test


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": 0}, "ways is 0"),
        ({"shots": (0, 3)}, r"shots is \(0, 3\)"),
        ({"shots": (3, 1)}, r"shots is \(3, 1\)"),
        ({"queries": 0}, "queries is 0"),
        ({"queries": (1, 2)}, r"queries is \(1, 2\); it must be a whole number"),
        ({"distort": -0.5}, r"distort is -0.5; it must be at least 0"),
        ({"distort": 1.0}, r"distort is for pictures .* examples of 'examples' are \(1,\)"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Episodes(SMALL, **options)


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'validation'"):
        Episodes(SMALL, queries=2).of("valid")
    with pytest.raises(UnknownName, match="no split 'trial'"):
        Episodes(SMALL, queries=2, split="trial")
    with pytest.raises(UnknownName, match="Did you mean 'shots'"):
        Episodes(SMALL, queries=2).replaced(shot=2)


def test_options_are_replaced_in_a_copy() -> None:
    source = Episodes(SMALL, ways=3, queries=2)
    other = source.replaced(shots=4, pool=Pool.of(SMALL.x, SMALL.y, name="elsewhere"))
    assert (source.shots, source.name, other.shots, other.name) == (1, "examples", 4, "elsewhere")
    assert other.protocol == {"source": "elsewhere", "ways": 3, "shots": 4, "queries": 2}
    assert other.sample(0, 1).support.x.shape == (1, 12, 1)


def pictures() -> Pool:
    """A bright square on a dark ground, of one place and size for each of 8 pictures a class."""
    x = torch.zeros(48, 1, 28, 28, dtype=torch.uint8)
    x[:, :, 10:18, 8:20] = 255
    split = {i: name for i, name in enumerate(("train", "validation", "test") * 2)}
    return Pool.of(x, torch.arange(48) // 8, split=split)


def test_pictures_are_distorted_in_training_alone() -> None:
    plain, moved = Episodes(pictures(), ways=2, queries=2), Episodes(pictures(), ways=2, queries=2, distort=1.0)
    for split in ("validation", "test"):
        assert same(moved.of(split).sample(0, 3), plain.of(split).sample(0, 3))
    before, after = plain.sample(0, 4), moved.sample(0, 4)
    assert torch.equal(before.support.y, after.support.y) and torch.equal(before.query.y, after.query.y)
    drawn = torch.cat([after.support.x.flatten(0, 1), after.query.x.flatten(0, 1)])
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    assert ((drawn >= 0) & (drawn <= 1)).all()
    # Ink stays where it was, but for a tenth in size, some in slant, and two pixels.
    places = torch.arange(28.0) - 13.5
    mass = drawn.sum((1, 2, 3))
    across, down = (drawn.sum((1, axis)) @ places / mass for axis in (2, 3))
    home = before.support.x[0, 0].sum((0, 1)) @ places / before.support.x[0, 0].sum()
    assert (across - home).abs().max() < 2.8 and down.abs().max() < 2.8 and across.std() > 0.5
    assert (mass / before.support.x[0, 0].sum() - 1).abs().max() < 0.25


@pytest.mark.parametrize("distort", [0.5, 1.0])
def test_a_distorted_episode_is_the_same_in_every_batch(distort: float) -> None:
    source = Episodes(pictures(), ways=2, queries=2, distort=distort)
    assert same(take(source.sample(0, 5), 3), take(source.sample(3, 1), 0))
