"""Data sets that a user brings: read as they are kept, and refused with where they come from."""

from __future__ import annotations

import csv
import functools
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quickstudy.encoders.cache.encoded import encoded
from quickstudy.encoders.text import HashedNGrams
from quickstudy.errors import BadFile, MissingData, NotEnoughExamples, UnknownName, UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.measure import singles
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.task import check_task
from quickstudy.tasks.datasets import brought as module
from quickstudy.tasks.datasets.brought import BROUGHT, brought, catalogue, read_columns
from quickstudy.tasks.datasets.fs_mol import fs_mol, fs_mol_active
from quickstudy.tasks.datasets.named import class_lists
from quickstudy.tasks.datasets.pictures.magnetic_tile import magnetic_tile
from quickstudy.tasks.datasets.pictures.targets import coil20, sign_digits
from quickstudy.tasks.datasets.sound.fsdd import fsdd, fsdd_speakers
from quickstudy.tasks.datasets.tables.keel import keel
from quickstudy.tasks.datasets.tables.nsl_kdd import NUMBERS, nsl_kdd
from quickstudy.tasks.datasets.text.arsc import Reviews, arsc, arsc_tests
from quickstudy.tasks.datasets.text.pools import CLINC_DOMAINS, TOPICS, banking77, clinc150, huffpost
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import SPLITS, Pool

RNG = np.random.default_rng(0)
Columns = dict[str, list[Any]]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's own data sets."""
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path))
    return tmp_path


def parquet(path: Path, columns: Columns) -> None:
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(arrow.table(columns), path)


def npz(path: Path, **arrays: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


class Lengths:
    """An encoder whose vectors tell which text they are of; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> Tensor:
        self.asked += texts
        return torch.tensor([[float(zlib.crc32(text.encode()) >> 8)] for text in texts])


TEXTS: tuple[Callable[..., Any], ...] = (arsc, arsc_tests, clinc150, banking77, huffpost)
OTHERS = (nsl_kdd, keel, fsdd, fsdd_speakers, sign_digits, coil20, magnetic_tile, fs_mol, fs_mol_active)


@pytest.mark.parametrize("make", TEXTS + OTHERS, ids=lambda make: make.__name__)
def test_what_is_not_there_is_said_with_where_it_comes_from(
    make: Callable[..., Any], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (Lengths(),) if make in TEXTS else ()
    with pytest.raises(MissingData, match=r"is not there\. .*(\.com|\.es|\.ca|\.edu)/?"):
        make(*given)
    monkeypatch.delenv("QUICKSTUDY_DATA")
    with pytest.raises(MissingData, match="QUICKSTUDY_DATA names no folder"):
        make(*given)


def test_the_list_says_what_is_here(own: Path) -> None:
    npz(own / "coil20" / "coil20_32.npz", images=np.zeros((1, 32, 32), np.uint8), obj=np.zeros(1))
    found = {line.name: line for line in catalogue()}
    assert found["coil-20"].found == own / "coil20" and found["coil-20"].size > 0
    assert found["arsc"].found is None and found["arsc"].size == 0 and set(found) == set(BROUGHT)
    with pytest.raises(UnknownName, match="coil-20"):
        brought("coil20")


def test_columns_are_read_or_what_is_wrong_is_said(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(own / "a.parquet", {"text": ["x", "y"], "label": [1, 2]})
    assert read_columns(own / "a.parquet", "label", "text") == {"label": [1, 2], "text": ["x", "y"]}
    with pytest.raises(BadFile, match="no column 'intent', but text, label"):
        read_columns(own / "a.parquet", "intent")
    (own / "b.parquet").write_bytes(b"not one")
    with pytest.raises(BadFile, match="cannot be read as Parquet"):
        read_columns(own / "b.parquet", "text")

    def lacking(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", lacking)
    with pytest.raises(MissingData, match=r"pip install 'quickstudy\[tables\]'"):
        read_columns(own / "a.parquet", "text")


def reviews(own: Path) -> Columns:
    """Domains to train, to validate, to leave out and to test; reviews that come twice, and a leak."""
    rows = []
    for domain, side, files in (
        ("toys_games", "train", {"train": 20, "dev": 6, "test": 6}),
        ("music", "train", {"dev": 12, "test": 12}),
        ("tools_hardware", "train", {"train": 8}),
        ("books", "test", {"train": 10, "dev": 20, "test": 30}),
    ):
        for stars in (2, 4):
            for part, count in files.items():
                rows += [(domain, stars, part, side, i % 2, f"{domain} {stars} {part} {i}") for i in range(count)]
    rows += [("toys_games", 2, "dev", "train", 1, "books 4 test 3"), ("books", 2, "dev", "test", 0, "books 2 test 0")]
    rows += [("books", 2, "test", "test", 1, "books 2 test 1"), ("books", 4, "test", "test", 1, "books 4 train 1")]
    names = ("domain", "threshold", "split", "meta_split", "label", "text")
    columns = {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    parquet(own / "text" / "arsc.parquet", columns)
    return columns


def test_arsc_keeps_domains_apart_and_encodes_every_text_once(own: Path) -> None:
    columns, encode = reviews(own), Lengths()
    made = arsc(encode, shots=2, queries=2)
    sides = dict(zip(Reviews.read().tasks, made.sides, strict=True))
    assert sides["toys_games/2"] == "train" and sides["music/4"] == "validation" and sides["books/4"] == "test"
    assert sides["tools_hardware/2"] == "" and not any(text.startswith("tools") for text in encode.asked)
    assert len(encode.asked) == len(set(encode.asked)) == len(set(columns["text"])) - 16
    # A test review that training has too is left out there; one that comes twice in a task is there once.
    assert len(made.y) == len(columns["text"]) - 16 - 1 - 3
    by_text = {
        float(encode([text])): (text, label) for text, label in zip(columns["text"], columns["label"], strict=True)
    }
    for split, domain in (("train", "toys_games"), ("validation", "music"), ("test", "books")):
        for task in singles(made.of(split).sample(0, 20)):
            check_task(task)
            for x, y in zip(task.query.x, task.query.y, strict=True):
                text, label = by_text[float(x)]
                assert text.startswith(domain) and label == int(y)


def test_arsc_tests_ask_every_test_review_after_the_prescribed_ones(own: Path) -> None:
    reviews(own)
    encode = Lengths()
    made = arsc_tests(encode)
    assert made.names == ("books/2", "books/4") and made.protocol["shots"] == 5
    two, four = singles(made.sample(0, len(made)))
    check_task(two)
    assert {float(x) for x in two.support.x} == {float(encode([f"books 2 train {i}"])) for i in range(10)}
    assert len(two.query) == 31 and len(four.query) == 30  # 'books 4 train 1' is in the support set
    from_dev = arsc_tests(encode, shots=3, seed=1)
    task = singles(from_dev.sample(0, 2))[0]
    allowed = {float(encode([f"books 2 dev {i}"])) for i in range(20)}
    assert {float(x) for x in task.support.x} <= allowed and int(task.support.y.sum()) == 3 and len(task.query) == 31
    assert from_dev.manifest(2) == arsc_tests(Lengths(), shots=3, seed=1).manifest(2)
    assert from_dev.manifest(2) != arsc_tests(encode, shots=3, seed=2).manifest(2)
    with pytest.raises(NotEnoughExamples, match=r"books/2 are 10 negative and 10 positive; 11"):
        arsc_tests(encode, shots=11)


def same(a: Pool, b: Pool) -> bool:
    named = a.name == b.name and (a.classes, a.groups, a.split) == (b.classes, b.groups, b.split)
    return named and torch.equal(a.x, b.x) and torch.equal(a.y, b.y)


def test_clinc_has_its_published_sides_or_keeps_domains_apart(own: Path) -> None:
    lists = class_lists("intents.json")["clinc150"]
    intents = [name for split in SPLITS for name in lists[split]]
    domains = [domain for split in SPLITS for domain in CLINC_DOMAINS[split]]
    home = [domains[i % 10] for i in range(150)]
    (own / "clinc150").mkdir()
    parts = {"oos_val": [["?", "oos"]], "val": [[f"t{i}", name] for i, name in enumerate(intents)]}
    (own / "clinc150" / "data_full.json").write_text(json.dumps(parts | {"train": parts["val"], "oos_train": []}))
    by_domain = {domain: [n for n, d in zip(intents, home, strict=True) if d == domain] for domain in domains}
    (own / "clinc150" / "domains.json").write_text(json.dumps(by_domain))
    encode = Lengths()
    pool = clinc150(encode)
    assert [pool.split.count(split) for split in SPLITS] == [50, 50, 50] and len(pool.x) == 300
    assert all(pool.split[pool.classes.index(name)] == split for split in SPLITS for name in lists[split])
    row = int((pool.y == pool.classes.index(intents[7])).nonzero()[0])
    assert torch.equal(pool.x[row], encode(["t7"])[0]) and "?" not in encode.asked
    assert pool.descriptions is not None
    assert torch.equal(pool.descriptions[pool.classes.index("what_song")], encode(["what song"])[0])
    apart = clinc150(encode, partition="domains")
    sides = {split: {apart.groups[c] for c in apart.members(split).tolist()} for split in SPLITS}
    assert apart.name != pool.name and sides == {split: set(names) for split, names in CLINC_DOMAINS.items()}
    table = {"text": [f"t{i}" for i in range(150)] * 2 + ["?"], "intent": intents * 2 + ["oos"]}
    parquet(own / "text" / "clinc150.parquet", table | {"domain": [*home, *home, "oos"]})
    assert same(clinc150(Lengths()), pool) and same(clinc150(Lengths(), partition="domains"), apart)
    with pytest.raises(UnknownName, match="partition of clinc150"):
        clinc150(encode, partition="domain")  # type: ignore[arg-type]
    (own / "text" / "clinc150.parquet").unlink()
    (own / "clinc150" / "domains.json").write_text("[1]")
    with pytest.raises(BadFile, match=r"domains\.json cannot be read as a JSON object"):
        clinc150(encode)


def test_banking_has_its_published_sides_in_either_form(own: Path) -> None:
    lists = class_lists("intents.json")["banking77"]
    intents = [name for split in SPLITS for name in lists[split]]
    (own / "banking77").mkdir()
    for part in ("train", "test"):
        with (own / "banking77" / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "category"), *((f'a "{part}",\n{i}', i) for i in intents)])
    bank = banking77(Lengths())
    assert [bank.split.count(split) for split in SPLITS] == [25, 25, 27] and len(bank.x) == 154
    assert all(bank.split[bank.classes.index(name)] == split for split in SPLITS for name in lists[split])
    texts = [f'a "{part}",\n{i}' for part in ("train", "test") for i in intents]
    parquet(own / "text" / "banking77.parquet", {"text": texts, "intent": intents * 2})
    assert same(banking77(Lengths()), bank)
    parquet(own / "text" / "banking77.parquet", {"text": ["a"], "intent": ["gossip"]})
    with pytest.raises(BadFile, match="no class 'gossip'"):
        banking77(Lengths())
    (own / "text" / "banking77.parquet").unlink()
    (own / "banking77" / "test.csv").write_text("text,label\na,b\n")
    with pytest.raises(BadFile, match="no column 'category', but text, label"):
        banking77(Lengths())


def test_huffpost_has_its_published_sides(own: Path) -> None:
    parquet(own / "text" / "huffpost.parquet", {"text": list(TOPICS), "label": list(range(41))})
    encode = Lengths()
    news = huffpost(encode)
    assert [news.split.count(split) for split in SPLITS] == [20, 5, 16]
    assert len(set(TOPICS)) == 41 and news.split[news.classes.index("crime")] == "validation"
    assert torch.equal(news.x, encode([news.classes[c] for c in news.y.tolist()]))
    parquet(own / "text" / "huffpost.parquet", {"text": ["a"], "label": [41]})
    with pytest.raises(BadFile, match=r"topic 41, but HuffPost's are 0\.\.40"):
        huffpost(encode)


def test_a_librarys_encoder_makes_tasks_of_texts(
    own: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUICKSTUDY_CACHE", str(tmp_path_factory.mktemp("cache")))
    rows = [(f"{topic} number {i}", label) for label, topic in enumerate(TOPICS) for i in range(4)]
    parquet(own / "text" / "huffpost.parquet", {"text": [r[0] for r in rows], "label": [r[1] for r in rows]})
    source = Episodes(huffpost(functools.partial(encoded, HashedNGrams(64))), ways=5, shots=2, queries=2)
    for split in SPLITS:
        tasks = source.of(split).sample(0, 3)
        assert tasks.support.x.shape == (3, 10, 64) and tasks.description is not None
    assert evaluate(Prototypical(nn.Flatten()), source.test, tasks=20).value > 90


def test_nsl_kdd_tests_types_that_training_has_no_trace_of(own: Path) -> None:
    def table(types: dict[str, int], service: str) -> Columns:
        attack = [name for name, count in types.items() for _ in range(count)]
        columns: Columns = {name: RNG.integers(0, 9, len(attack)).tolist() for name in NUMBERS}
        columns |= {"protocol_type": ["tcp"] * len(attack), "flag": ["SF"] * len(attack), "attack": attack}
        return columns | {"service": [service] * len(attack), "num_outbound_cmds": [0] * len(attack)}

    parquet(own / "nsl_kdd" / "train20.parquet", table({"normal": 40, "back": 30, "smurf": 25, "spy": 1}, "http"))
    parquet(own / "nsl_kdd" / "test.parquet", table({"normal": 40, "mscan": 22, "worm": 3, "spy": 60}, "pop"))
    pool = nsl_kdd()
    assert dict(zip(pool.classes, pool.split, strict=True)) == {
        "back": "validation", "mscan": "test", "normal": "train", "smurf": "train"
    }  # fmt: skip
    assert torch.bincount(pool.y).tolist() == [30, 22, 40, 25]
    assert pool.x.shape == (117, 38 + 3) and bool(torch.isfinite(pool.x).all())
    service, tested = pool.x[:, 39], pool.y == pool.classes.index("mscan")
    assert bool((service == ~tested).all())  # 'pop' was never met in training, and has no column
    training = torch.isin(pool.y, pool.members("train"))
    assert torch.allclose(pool.x[training, 0].max(), torch.ones(()))
    with pytest.raises(UserError, match="least is 100"):
        nsl_kdd(least=100)


def test_keel_leaves_tables_out_once_each(own: Path) -> None:
    arrays: dict[str, Any] = {"names": np.array([f"t{i}" for i in range(6)])}
    for i in range(6):
        arrays |= {
            f"t{i}/x": np.full((30, 2 + i), 1 + i, np.float32),
            f"t{i}/y": (np.arange(30) % (2 + i % 2)).astype(np.int16),
        }
        arrays |= {f"t{i}/categorical": (np.arange(2 + i) == 0).astype(np.uint8)}
    npz(own / "tabular" / "keel_classification.npz", **arrays)
    tested = []
    for fold in range(3):
        made = keel(fold=fold, folds=3, shots=2, queries=3)
        assert [made.sides.count(side) for side in ("train", "validation", "test")] == [2, 2, 2]
        tested += [i for i, side in enumerate(made.sides) if side == "test"]
    assert sorted(tested) == list(range(6))
    for task in singles(made.sample(0, 8)):
        table = int(task.origin.group)  # type: ignore[union-attr,arg-type]
        assert task.description.tolist() == [2 + table, 1] and task.ways == 2 + table % 2  # type: ignore[union-attr]
        wanted = torch.cat([torch.full((2 + table,), 1.0 + table), torch.zeros(5 - table)])
        assert torch.equal(task.query.x, wanted.expand(len(task.query), 7))
    for fold, folds in ((3, 3), (0, 2), (0, 7)):
        with pytest.raises(UserError, match=f"fold is {fold} of {folds}"):
            keel(fold=fold, folds=folds)


def test_fsdd_keeps_speakers_or_digits_apart_or_both(own: Path) -> None:
    speaker, digit = np.repeat(np.arange(6), 20), np.tile(np.arange(10), 12)
    spectra = (10 * speaker + digit)[:, None, None].repeat(40, 1).repeat(64, 2).astype(np.uint8)
    names = np.array(
        ["theo", "george", "jackson", "lucas", "nicolas", "yweweler"]
    )  # theo stands first, but sorts fifth
    npz(own / "fsdd" / "fsdd_logmel.npz", logmel=spectra, digit=digit, speaker=speaker, speaker_name=names)
    pool = fsdd()
    assert pool.x.shape == (120, 1, 40, 64) and pool.classes[int(pool.y[0])] == "theo/0"
    assert {pool.groups[c] for c in pool.members("test").tolist()} == {"theo", "yweweler"}
    digits, both = fsdd("digits"), fsdd("both")
    assert {digits.groups[c] for c in digits.members("test").tolist()} == {f"digit {d}" for d in (7, 8, 9)}
    assert [both.split.count(side) for side in ("train", "validation", "test", "")] == [12, 3, 6, 39]
    for task in singles(fsdd_speakers(shots=1, queries=1).test.sample(0, 6)):
        values = (task.support.x[:, 0, 0, 0] * 255).round().long()
        assert task.ways == 10 and torch.equal(values % 10, task.support.y) and set((values // 10).tolist()) <= {0, 5}
    with pytest.raises(UnknownName, match="partition of fsdd"):
        fsdd("people")  # type: ignore[arg-type]


def test_pictures_are_for_the_test_at_any_size(own: Path) -> None:
    pictures = RNG.integers(0, 256, (40, 64, 64)).astype(np.uint8)
    npz(own / "sign_digits" / "sign_digits64.npz", images=pictures, label=(np.arange(40) % 10).astype(np.uint8))
    npz(own / "coil20" / "coil20_32.npz", images=pictures[:, :32, :32], obj=(np.arange(40) % 20).astype(np.uint8))
    signs, things = sign_digits(size=32), coil20()
    assert signs.x.shape == (40, 1, 32, 32) and set(signs.split) == {"test"} and len(signs.classes) == 10
    assert float((signs.x[3, 0, 0, 0].float() - pictures[3, :2, :2].mean()).abs()) <= 0.5
    assert (
        np.array_equal(things.x[:, 0].numpy(), pictures[:, :32, :32]) and torch.bincount(things.y).tolist() == [2] * 20
    )
    with pytest.raises(UserError, match="32 pixels a side; size is 64"):
        coil20(size=64)


def test_an_exposure_is_a_task(own: Path) -> None:
    exposure, label = np.repeat(np.arange(7), 12), np.tile(np.arange(6), 14)
    pictures = exposure[:, None, None].repeat(64, 1).repeat(64, 2).astype(np.uint8)
    kinds = np.array(["MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven", "MT_Free"])
    file = own / "magnetic_tile" / "magnetic_tile64.npz"
    npz(file, images=pictures, label=label.astype(np.uint8), class_name=kinds, exposure=exposure.astype(np.int16))
    made = magnetic_tile(size=28, shots=1, queries=1)
    assert made.classes[5] == "free" and made.sides == ("", "train", "train", "train", "validation", "test", "test")
    for task in singles(made.test.sample(0, 6)):
        assert set((task.query.x * 255).round().unique().tolist()) <= {5.0, 6.0} and task.ways == 6


def test_molecules_keep_the_balance_of_their_assay(own: Path) -> None:
    sizes, active = np.array([40, 30, 50]), np.array([30, 10, 25])
    label = np.concatenate([np.arange(n) < a for n, a in zip(sizes, active, strict=True)]).astype(np.int8)
    npz(
        own / "molecules" / "fsmol" / "fsmol_tasks.npz",
        task_split=np.array([0, 1, 2], np.uint8),
        task_offset=np.concatenate([[0], sizes.cumsum()]),
        mol_index=np.arange(120, dtype=np.int32)[::-1].copy(),
        label=label,
        log_value=np.where(np.arange(120) == 7, np.nan, np.arange(120)).astype(np.float16),
    )
    bits = RNG.integers(0, 2, (120, 2048)).astype(np.uint8)
    packed = np.packbits(bits, axis=1).T
    npz(own / "molecules" / "fsmol" / "fsmol_fingerprints.npz", fp_packed_T=packed)
    made = fs_mol_active(shots=4, queries=None)
    for split, wanted in (("train", 6), ("validation", 3), ("test", 4)):
        drawn = made.of(split).sample(0, 3)
        assert (
            drawn.support.y.sum(1).tolist() == [wanted] * 3 and drawn.query.y.shape[1] == {6: 32, 3: 22, 4: 42}[wanted]
        )
    assert drawn.origin is not None
    assert np.array_equal(drawn.query.x.numpy(), bits[::-1][drawn.origin.query.numpy()])
    assert set(drawn.support.y[0].tolist()) == {0, 1}
    values = fs_mol(shots=20, queries=19)
    assert 7 not in values.sample(0, 4).query.y.flatten().tolist() and len(values.y) == 119


def nothing(texts: list[str]) -> Tensor:
    return torch.zeros(len(texts), 1)


def sides_of(pool: Pool) -> list[int]:
    return [len(pool.members(split)) for split in SPLITS]


@pytest.mark.data
def test_real_texts_have_their_published_sizes() -> None:
    try:
        pools = (clinc150(nothing), clinc150(nothing, partition="domains"), banking77(nothing), huffpost(nothing))
        reviews, tests = arsc(nothing), arsc_tests(nothing)
    except MissingData as missing:
        pytest.skip(str(missing))
    assert [len(pool.y) for pool in pools] == [22500, 22500, 13083, 36900]
    assert [sides_of(pool) for pool in pools] == [[50, 50, 50], [75, 30, 45], [25, 25, 27], [20, 5, 16]]
    assert torch.bincount(pools[0].y).unique().tolist() == [150]
    assert torch.bincount(pools[2].y).aminmax() == (75, 227) and torch.bincount(pools[3].y).unique().tolist() == [900]
    assert [reviews.of(split).replaced(shots=1).protocol["groups"] for split in SPLITS] == [51, 6, 12]
    assert {tests.y[rows].sum().item() for rows in tests.support} == {5} and tests.protocol["shots"] == 5
    # As many as the official files have, but one review of electronics that is a support review too, twice.
    assert [len(rows) for rows in tests.query] == [829, 830, 830, 804, 804, 804, 758, 757, 757, 663, 663, 664]
    assert {name.split("/")[0] for name in tests.names} == {"books", "dvd", "electronics", "kitchen_housewares"}


@pytest.mark.data
def test_real_others_have_their_published_sizes() -> None:
    try:
        pools = (nsl_kdd(), fsdd(), fsdd("digits"), fsdd("both"), sign_digits(), coil20())
        made = (fs_mol_active(queries=None), magnetic_tile(), keel(), fsdd_speakers())
    except MissingData as missing:
        pytest.skip(str(missing))
    assert [len(pool.y) for pool in pools] == [28824, 3000, 3000, 3000, 2062, 1000]
    assert [sides_of(pool) for pool in pools[:4]] == [[6, 5, 8], [30, 10, 20], [24, 18, 18], [12, 3, 6]]
    assert [sides_of(pool) for pool in pools[4:]] == [[0, 0, 10], [0, 0, 20]]
    sides = [[source.of(split).protocol["groups"] for split in SPLITS] for source in made]
    assert sides == [[4935, 39, 157], [3, 1, 2], [12, 5, 5], [3, 1, 2]]
    assert made[0].test.replaced(in_turn=True).sample(0, 1).support.y.shape == (1, 16)
    assert [len(source.y) for source in made] == [482933, 1344, 69306, 3000]
