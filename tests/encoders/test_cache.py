"""The cache: what is read again, what is made again, and what happens when something is in the way."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from quickstudy.encoders.cache import encoded as module
from quickstudy.encoders.cache import kept
from quickstudy.encoders.cache.encoded import encoded
from quickstudy.encoders.protocol import BadInputs
from quickstudy.errors import BadExamples, ContractBroken, QuickstudyError


class Lengths:
    """The length of a text, or the first byte of a file; remembers what it was asked."""

    def __init__(self, modality: str = "text", version: int = 1, dtype: torch.dtype = torch.float32):
        self.modality, self.version, self.dtype, self.feature = modality, version, dtype, (2,)
        self.asked: list[str] = []

    @property
    def identity(self) -> str:
        return f"lengths {self.version}"

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        if bad := {i: "is bad" for i, one in enumerate(inputs) if "bad" in str(one)}:
            raise BadInputs(bad, "Leave it out.")
        self.asked += [str(one) for one in inputs]
        numbers = [Path(i).read_bytes()[0] if self.modality == "image" else len(i) for i in inputs]
        return torch.tensor([[n, self.version] for n in numbers], dtype=self.dtype)


def files(cache: Path) -> list[Path]:
    return sorted((cache / "encoded").rglob("*.*"))


def test_the_second_run_reads_and_asks_nothing(cache: Path) -> None:
    first = encoded(Lengths(), ["a", "bb", "a", ""])
    again = Lengths()
    second = encoded(again, ["a", "bb", "a", ""])
    assert first.tolist() == second.tolist() == [[1, 1], [2, 1], [1, 1], [0, 1]]
    assert not again.asked
    assert len(files(cache)) == 1


def test_equal_inputs_are_encoded_once_and_new_ones_alone(cache: Path) -> None:
    encoder = Lengths()
    encoded(encoder, ["a", "bb", "a"])
    assert encoder.asked == ["a", "bb"]
    assert encoded(encoder, ["ccc", "bb", "a", "ccc"]).tolist() == [[3, 1], [2, 1], [1, 1], [3, 1]]
    assert encoder.asked == ["a", "bb", "ccc"]


def test_another_order_or_fewer_ask_nothing(cache: Path) -> None:
    encoder = Lengths()
    encoded(encoder, ["a", "bb", "ccc"])
    assert encoded(encoder, ["ccc", "a"]).tolist() == [[3, 1], [1, 1]]
    assert encoder.asked == ["a", "bb", "ccc"]


def test_another_identity_shares_nothing(cache: Path) -> None:
    encoded(Lengths(), ["a"])
    assert encoded(Lengths(version=2), ["a"]).tolist() == [[1, 2]]


def test_a_changed_file_is_encoded_again_alone_and_a_moved_one_is_not(tmp_path: Path, cache: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i, 7]))
    encoder = Lengths("image")
    encoded(encoder, paths)
    paths[1].write_bytes(b"\x09")
    paths[2] = paths[2].rename(tmp_path / "moved")
    encoder.asked.clear()
    assert encoded(encoder, paths)[:, 0].tolist() == [0, 9, 2]
    assert encoder.asked == [str(paths[1])]


def test_arrays_count_by_type_shape_and_content(cache: Path) -> None:
    digest = module._digest
    array = np.arange(6, dtype=np.float32)
    others = [array.astype(np.float64), array.reshape(2, 3), array + 1]
    assert digest(array, files=False) == digest(torch.arange(6.0), files=False) == digest(array.copy(), files=False)
    assert len({digest(one, files=False) for one in [array, *others]}) == 4


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "other"])
def test_a_broken_file_is_made_again(cache: Path, harm: str) -> None:
    texts = ["a", "bb", "ccc"]
    encoded(Lengths(), texts)
    (path,) = files(cache)
    content = bytearray(path.read_bytes())
    if harm == "bit":
        content[-40] ^= 1  # in the rows: safetensors itself does not see it
    path.write_bytes({"cut": content[:-5], "bit": content, "empty": b"", "other": b"what is this?"}[harm])
    encoder = Lengths()
    assert encoded(encoder, texts)[:, 0].tolist() == [1, 2, 3]
    assert encoder.asked == texts
    again = Lengths()
    encoded(again, texts)
    assert not again.asked


def test_writing_into_what_was_read_does_not_change_the_cache(cache: Path) -> None:
    encoded(Lengths(), ["a"]).fill_(5)
    assert encoded(Lengths(), ["a"]).tolist() == [[1, 1]]


def test_bytes_stay_bytes(cache: Path) -> None:
    assert encoded(Lengths(dtype=torch.uint8), ["a"]).dtype == torch.uint8
    assert encoded(Lengths(dtype=torch.uint8), ["a"]).dtype == torch.uint8


def test_all_bad_inputs_are_named_and_the_others_are_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    texts: list[Any] = ["a", "bad", "bb", "ccc", "bad!", "bad", 5]
    with pytest.raises(BadInputs, match="Row 1 is bad; row 4 is bad; row 5 is bad; row 6 is 5, a int") as caught:
        encoded(Lengths(), texts)
    assert sorted(caught.value.problems) == [1, 4, 5, 6]
    encoder = Lengths()
    encoded(encoder, ["a", "bb", "ccc"])
    assert not encoder.asked


def test_a_file_that_is_not_there_is_named(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "there").write_bytes(b"\x01")
    with pytest.raises(BadInputs, match=r"Row 1 \(.*nowhere\) cannot be read: No such file"):
        encoded(Lengths("image"), [tmp_path / "there", tmp_path / "nowhere"])


def test_nothing_to_encode(cache: Path) -> None:
    with pytest.raises(BadExamples, match="nothing to encode with lengths"):
        encoded(Lengths(), [])


def test_an_encoder_that_breaks_its_promise(cache: Path) -> None:
    encoder = Lengths()
    encoder.feature = (3,)  # type: ignore[assignment]
    with pytest.raises(ContractBroken, match=r"made \(1, 2\)"):
        encoded(encoder, ["a"])
    with pytest.raises(ContractBroken, match="float64"):
        encoded(Lengths(dtype=torch.float64), ["a"])


def test_work_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    monkeypatch.setattr(module, "BLOCK_SECONDS", 0.0)
    texts = [str(i) * (i + 1) for i in range(6)]

    def stop(what: str, done: int, of: int) -> None:
        assert (what, of) == ("encode with lengths", 6)
        if done >= 4:
            raise KeyboardInterrupt

    encoder = Lengths()
    with pytest.raises(KeyboardInterrupt):
        encoded(encoder, texts, stop)
    seen: list[int] = []
    assert encoded(encoder, texts, lambda _, done, __: seen.append(done))[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert sorted(encoder.asked) == sorted(texts)
    assert seen == [6]
    assert len(files(cache)) == 1  # the blocks are gone


@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_full_disk_leaves_no_broken_file(monkeypatch: pytest.MonkeyPatch, cache: Path, after: int) -> None:
    writes = iter(range(100))

    def pieces(*args: Any) -> Any:
        for piece in whole(*args):
            if next(writes) == after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield piece

    whole = kept._pieces
    monkeypatch.setattr(kept, "_pieces", pieces)
    with pytest.raises(QuickstudyError, match=r"No space left on device\. Make room, or name another folder"):
        encoded(Lengths(), ["a", "bb"])
    monkeypatch.setattr(kept, "_pieces", whole)
    assert not [path for path in files(cache) if path.suffix == ".part" or kept.read(path) is None]
    assert encoded(Lengths(), ["a", "bb"])[:, 0].tolist() == [1, 2]


def test_a_cache_that_cannot_be_written_to_is_named(cache: Path) -> None:
    cache.write_bytes(b"a file where a folder should be")
    with pytest.raises(QuickstudyError, match="QUICKSTUDY_CACHE"):
        encoded(Lengths(), ["a"])


def encode_many(start: Any, answers: Any) -> None:
    module.BLOCK, module.BLOCK_SECONDS = 7, 0.0
    start.wait(60)
    answers.put(encoded(Lengths(), ["x" * i for i in range(1, 200)])[:, 0].tolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_at_once_do_no_harm(cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, answers = context.Event(), context.Queue()
    both = [context.Process(target=encode_many, args=(start, answers)) for _ in range(2)]
    for process in both:
        process.start()
    start.set()
    found = [answers.get(timeout=60) for _ in both]
    for process in both:
        process.join(60)
    assert found == [list(range(1, 200))] * 2
    assert all(kept.read(path) is not None for path in files(cache))
    again = Lengths()
    assert encoded(again, ["x" * i for i in range(1, 200)])[:, 0].tolist() == found[0]
    assert not again.asked
