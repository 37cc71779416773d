"""A bundle on a user's own files, for every kind of data: raw inputs in, answers out."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.bundle import Bundle, load_bundle, save_bundle
from quickstudy.cli.main import call
from quickstudy.encoders.images import Pixels
from quickstudy.encoders.protocol import BadInputs
from quickstudy.encoders.series import Series
from quickstudy.encoders.tables import Table
from quickstudy.encoders.text import HashedNGrams
from quickstudy.errors import BadExamples, BadFile, QuickstudyError, UserError
from quickstudy.functional.distances import squared_euclidean
from quickstudy.learner import Learner
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.baseline.pooled import Pooled
from quickstudy.nets.mlp import MLP
from quickstudy.tasks.class_groups import ClassGroups
from quickstudy.tasks.own.rows import Columns

GOOD, BAD = ("works very well", "well made, works"), ("broke at once", "it broke again")
TEXT = {"label": "mood", "text": "words"}
SERIES = {"label": "kind", "id_": "run", "when": "second", "values": "a, b"}


def written(path: Path, header: Sequence[str], *rows: Sequence[Any], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    return path


def columns(**numeric: list[float]) -> Columns:
    n = len(next(iter(numeric.values())))
    hues = np.arange(n, dtype=np.int32).reshape(n, 1) % 2
    return Columns(np.array([*numeric.values()]).T, tuple(numeric), hues, ("hue",), (("blue", "red"),))


TABLE = Table.fit(columns(age=[1.0, 2.0, 30.0, np.nan], size=[5.0, 6.0, 7.0, 8.0]))
WAVES = Series.fit([np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32), np.ones((5, 2), dtype=np.float32)])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return save_bundle(tmp_path / "text", NearestNeighbour(), encoder=HashedNGrams(512), columns=TEXT)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    rows = [*(("good", words) for words in GOOD), *(("bad", words) for words in BAD)]
    return written(tmp_path / "shop.csv", ["mood", "words"], *rows)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return save_bundle(tmp_path / "table", NearestNeighbour(), encoder=TABLE, columns={"label": "buys", "task": "who"})


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return save_bundle(tmp_path / "series", NearestNeighbour(), encoder=WAVES, columns=SERIES)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """CLASS/IMAGE of sizes and modes of their own."""
    for kind, level in (("dark", 10), ("light", 240)):
        for i in range(2):
            path = tmp_path / "photos" / kind / f"{kind}{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L" if i else "RGB", (9 + i, 7), level if i else (level, 90, level)).save(path)
    return tmp_path / "photos"


def learn(bundle: Path, support: Path, *options: str) -> Path:
    state = support.with_suffix(".state")
    assert call(["adapt", str(bundle), str(support), "--out", str(state), *options]) == 0
    return state


def asked(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Any:
    capsys.readouterr()
    assert call(["predict", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    capsys.readouterr()
    assert call([*map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("\n") == 1
    return said


# Python.


def test_texts_in_answers_out(text: Path) -> None:
    bundle = load_bundle(text)
    assert (bundle.modality, bundle.columns, bundle.feature) == ("text", TEXT, (512,))
    assert "encoder" not in bundle.__dict__  # nothing is made before it is needed
    state, envelope = bundle.adapt([*GOOD, *BAD], ["good"] * 2 + ["bad"] * 2)
    assert bundle.predict(state, envelope, ["broke", "works"]).names == ("bad", "good")
    numbers = bundle.encode(["broke", "works"])
    assert bundle.predict(state, envelope, numbers).names == ("bad", "good")
    with pytest.raises(BadInputs, match="Row 1 is an empty text"):
        bundle.predict(state, envelope, ["fine", " "])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ("one text", "a list of texts.*got str"),
        (np.zeros((2, 7)), r"numbers shaped \(n, 512\); got numbers shaped \(2, 7\)"),
        (columns(age=[1.0]), "got Columns"),
        ([], "no examples"),
        (3, "got int"),
    ],
)
def test_what_is_no_list_of_texts(text: Path, x: Any, words: str) -> None:
    with pytest.raises(BadExamples, match=words):
        load_bundle(text).adapt(x, ["a", "b"][: len(x)] if hasattr(x, "__len__") else ["a"])


def test_columns_and_series_in_answers_out(table: Path, series: Path) -> None:
    bundle = load_bundle(table)
    state, envelope = bundle.adapt(columns(size=[5.0, 8.0], age=[1.0, 30.0]), ["no", "yes"])
    assert bundle.predict(state, envelope, columns(age=[29.0], size=[8.0])).names == ("yes",)
    with pytest.raises(BadExamples, match=r"no numeric column 'size'"):
        bundle.adapt(columns(age=[1.0]), ["no"])
    waves = load_bundle(series)
    state, envelope = waves.adapt([np.zeros((3, 2)), np.ones((3, 2))], ["flat", "high"])
    assert waves.predict(state, envelope, [np.ones((3, 2))]).names == ("high",)
    with pytest.raises(BadInputs, match=r"is \(6, 2\), not \(at most 5, 2\)"):
        waves.adapt([np.ones((6, 2))], ["a"])


def test_images_as_files_or_arrays(tmp_path: Path, photos: Path) -> None:
    bundle = load_bundle(save_bundle(tmp_path / "b", NearestNeighbour(), encoder=Pixels(4)))
    paths = sorted(photos.rglob("*.png"))
    state, envelope = bundle.adapt(paths, [path.parent.name for path in paths])
    assert bundle.predict(state, envelope, [str(paths[0])]).names == ("dark",)
    assert len(bundle.predict(state, envelope, [np.zeros((3, 9, 5), dtype=np.uint8)])) == 1
    assert bundle.encode(np.full((1, 3, 4, 4), 255, dtype=np.uint8)).max() == 1


def test_the_encoder_comes_back_as_it_was(table: Path, series: Path, tmp_path: Path) -> None:
    assert load_bundle(table).encoder == TABLE and load_bundle(series).encoder == WAVES
    assert load_bundle(series).about["input"]["columns"] == SERIES
    pixels = load_bundle(save_bundle(tmp_path / "b", NearestNeighbour(), encoder=Pixels(4, channels=1))).encoder
    assert isinstance(pixels, Pixels) and pixels.channels == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("width = 512", "width = 513"),
        ("words = 2", "words = 1"),
        ("[input.encoder]", "[input.encode]"),
        ("mood", "mud"),
    ],
)
def test_an_altered_encoder_is_refused(text: Path, before: str, after: str) -> None:
    path = text / "recipe.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(BadFile, match="altered"):
        load_bundle(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "hashed-n-gram"}, "cannot be made here.*Did you mean 'hashed-n-grams'"),
        ({"identity": "another"}, "gives other features here"),
        ({"width": "wide"}, "damaged"),
        ({"name": "sentences:", "model": "no/such"}, "cannot be made here"),
    ],
)
def test_an_encoder_that_cannot_be_made_leaves_numbers(text: Path, change: dict[str, Any], words: str) -> None:
    """Loading does not look at it."""
    bundle = load_bundle(text)
    bundle.about["input"]["encoder"] |= change
    with pytest.raises(UserError, match=words):
        bundle.adapt(["a", "b"], ["x", "y"])
    assert bundle.adapt(torch.eye(512)[:2], ["x", "y"])


def test_an_encoder_that_is_none_of_ours(tmp_path: Path) -> None:
    class Mine:
        modality, identity, feature = "text", "mine", (2,)

        def __call__(self, inputs: Any) -> torch.Tensor:
            return torch.zeros(len(inputs), 2)

    with pytest.raises(UserError, match="Mine is none of quickstudy's encoders"):
        save_bundle(tmp_path / "b", NearestNeighbour(), encoder=Mine())
    with pytest.raises(UserError, match=r"makes inputs of \(8,\), but the learner takes \(2,\)"):
        save_bundle(tmp_path / "b", NearestNeighbour(), encoder=HashedNGrams(8), feature=(2,))


def test_a_state_belongs_to_the_encoder_too(text: Path, tmp_path: Path) -> None:
    """Learners without weights are all alike; what they look at is not."""
    other = load_bundle(save_bundle(tmp_path / "b", NearestNeighbour(), encoder=HashedNGrams(512, words=1)))
    state, envelope = load_bundle(text).adapt([*GOOD], ["a", "b"])
    with pytest.raises(BadFile, match="made by the learner"):
        other.predict(state, envelope, [*BAD])


def shared(learner: Learner, folder: Path) -> Bundle:
    """Of tasks in which 'bad' is always 0, 'fair' 1 and 'good' 2."""
    y, group = torch.arange(18) % 3, torch.arange(18) // 6
    sides, names = ("train", "validation", "test"), ("bad", "fair", "good")
    source = ClassGroups("lines", torch.rand(18, 2), y, group, sides, classes=names, shots=1, queries=1)
    return load_bundle(save_bundle(folder, learner, source=source))


def test_classes_keep_the_numbers_of_training(tmp_path: Path) -> None:
    net = MLP(2, 3, hidden=())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        list(net.parameters())[-1].copy_(torch.tensor([0.0, 0.0, 9.0]))
    bundle = shared(Pooled(net), tmp_path / "b")
    state, envelope = bundle.adapt(torch.eye(2), ["good", "fair"])
    assert envelope.classes == ("bad", "fair", "good")
    assert bundle.predict(state, envelope, torch.eye(2)).names == ("good", "good")
    with pytest.raises(BadExamples, match=r"examples of 'superb'.*knows bad, fair, good alone"):
        bundle.adapt(torch.eye(2), ["good", "superb"])


def test_learners_that_know_no_class_take_any(tmp_path: Path) -> None:
    assert shared(NearestNeighbour(), tmp_path / "b").adapt(torch.eye(2), ["x", "y"])[1].classes == ("x", "y")


# The command line.


def test_texts_on_the_command_line(text: Path, shop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = learn(text, shop)
    assert "Learned 2 classes from 4 examples" in capsys.readouterr().out
    rows = asked(capsys, text, state, "--say", "it works", "--say", "broke")
    assert [(row["query"], row["answer"]) for row in rows] == [("it works", "good"), ("broke", "bad")]
    judged = asked(capsys, text, state, shop)
    assert judged["judged"]["accuracy"] == 100 and judged["judged"]["low"] < 60
    assert judged["answers"][3] | {"confidence": 0} == {
        "query": BAD[1],
        "answer": "bad",
        "confidence": 0,
        "label": "bad",
    }
    assert call(["predict", str(text), str(state), "--say", "[/bold] it\x1b[2J works " + 80 * "x"]) == 0
    shown = capsys.readouterr().out
    assert "[/bold] it?[2J works" in shown and "xxx..." in shown
    more = written(tmp_path / "more.csv", ["note", "words"], [1, "broke"], [2, "works well"])
    assert [row["answer"] for row in asked(capsys, text, state, more)] == ["bad", "good"]
    assert call(["predict", str(text), str(state), str(shop)]) == 0
    assert "accuracy 100.0%: 4 of 4 queries (95% interval 51 to 100%)" in capsys.readouterr().out


def test_columns_of_other_names_and_rows_without_a_label(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = [["Größe", "Urteil", "Text"], [1, "gut", "läuft"], [2, "", "offen"], [3, "schlecht", "kaputt"]]
    path = written(tmp_path / "german.csv", *sheet, separator=";")
    state = learn(text, path, "--label", "Urteil", "--text", "Text")
    said = capsys.readouterr()
    assert "from 2 examples" in said.out and "left out 1 rows without 'Urteil' (row 2)" in said.err
    found = asked(capsys, text, state, path, "--label", "Urteil", "--text", "Text")
    assert [row["label"] for row in found["answers"]] == ["gut", None, "schlecht"]
    assert found["judged"]["queries"] == 2


def test_tables_on_the_command_line(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    support = written(
        tmp_path / "new.csv",
        ["buys", "hue", "size", "age", "who"],
        ["no", "blue", 5, 1, "x"],
        ["no", "blue", 5, "", "x"],
        ["yes", "red", 8, 30, "x"],
    )
    state = learn(table, support)
    queries = written(
        tmp_path / "q.csv", ["age", "hue", "size"], [29, "red", 8], [1, "mauve", 5], ["", "", 5], ["old", "blue", 5]
    )
    assert [row["answer"] for row in asked(capsys, table, state, queries)] == ["yes", "no", "no", "no"]
    assert "reads features, not texts" in refused(capsys, "predict", table, state, "--say", "x")
    assert call(["predict", str(table), str(state), str(queries)]) == 0
    said = capsys.readouterr().err
    assert "'hue' holds 'mauve', which this bundle does not know" in said and "'age' holds 'old' in row 4" in said


def test_parquet_with_types_of_its_own(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    hues = arrow.array(["blue", None, "red"]).dictionary_encode()
    made = arrow.table({"hue": hues, "buys": [True, True, False], "age": [1, 1, 30], "size": [5.0, None, 8.0]})
    parquet.write_table(made, tmp_path / "new.parquet")
    state = learn(table, tmp_path / "new.parquet")
    found = asked(capsys, table, state, tmp_path / "new.parquet")
    assert [row["answer"] for row in found["answers"]] == ["true", "true", "false"]
    assert found["judged"]["accuracy"] == 100


def long_table(path: Path, *names: str, lengths: Sequence[int] = (2, 3), label: bool = True) -> Path:
    """Series that are all zeros or all ones, the rows out of order."""
    rows = [
        [name, time, i % 2, i % 2, *(["high" if i % 2 else "flat"] * label)]
        for i, (name, length) in enumerate(zip(names, lengths, strict=True))
        for time in reversed(range(length))
    ]
    return written(path, ["run", "second", "b", "a", *(["kind"] * label)], *rows)


def test_series_on_the_command_line(series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = learn(series, long_table(tmp_path / "s.csv", "one", "two"))
    queries = long_table(tmp_path / "q.csv", "p", "q", lengths=(5, 5), label=False)
    rows = asked(capsys, series, state, queries)
    assert [(row["query"], row["answer"]) for row in rows] == [("p", "flat"), ("q", "high")]
    assert asked(capsys, series, state, long_table(tmp_path / "l.csv", "p", "q"))["judged"]["queries"] == 2
    said = refused(capsys, "predict", series, state, long_table(tmp_path / "long.csv", "p", "q", lengths=(2, 9)))
    assert "series 'q' is (9, 2), not (at most 5, 2)" in said and "cut" in said


def test_images_on_the_command_line(tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learner = NearestNeighbour(distance=squared_euclidean)
    bundle = save_bundle(tmp_path / "b", learner, encoder=Pixels(4), columns={"label": "kind"})
    state = learn(bundle, photos)
    assert [row["answer"] for row in asked(capsys, bundle, state, photos / "dark")] == ["dark", "dark"]
    assert asked(capsys, bundle, state, photos / "light" / "light0.png")[0]["answer"] == "light"
    assert asked(capsys, bundle, state, photos)["judged"]["accuracy"] == 100
    listed = written(
        tmp_path / "list.csv", ["kind", "file"], ["dark", "photos/dark/dark0.png"], ["light", "photos/x.png"]
    )
    said = refused(capsys, "adapt", bundle, listed, "--image", "file", "--out", state)
    assert "x.png cannot be read" in said
    said = refused(capsys, "adapt", bundle, listed, "--out", state)
    assert "Which column" in said and "Give it as image" in said
    (photos / "grey").mkdir()
    assert "grey holds no image" in refused(capsys, "predict", bundle, state, photos / "grey")
    assert "The class 'grey' has no example" in refused(capsys, "adapt", bundle, photos, "--out", state)
    assert "is one image" in refused(capsys, "adapt", bundle, photos / "dark" / "dark0.png", "--out", state)
    assert "deeper than CLASS/IMAGE" in refused(capsys, "adapt", bundle, tmp_path, "--out", state)


def test_regression_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = Table.fit(columns(x=[0.0, 1.0, 2.0, 3.0]), scaled=False)
    folder = save_bundle(
        tmp_path / "b", LinearProbe(normalise=False), encoder=encoder, columns={"label": "y"}, kind="regression"
    )
    points = written(tmp_path / "p.csv", ["x", "hue", "y"], *[[x, "red", 2.0 * x + 1] for x in range(9)])
    state = learn(folder, points)
    assert "Learned a regression from 9 examples" in capsys.readouterr().out
    found = asked(capsys, folder, state, points)
    assert found["judged"]["mse"] < 1 and found["judged"]["queries"] == 9
    assert set(found["answers"][0]) >= {"query", "value", "label"}
    assert call(["predict", str(folder), str(state), str(points)]) == 0
    assert "(95% over 9 queries)" in capsys.readouterr().out
    words = written(tmp_path / "w.csv", ["x", "hue", "y"], [1, "red", "much"], [2, "red", 3])
    assert "'much' in row 1" in refused(capsys, "adapt", folder, words, "--out", state)


def test_mistakes_are_one_message(
    text: Path, table: Path, series: Path, shop: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = learn(text, shop)
    out = ("--out", tmp_path / "x.state")
    bare = written(tmp_path / "bare.csv", ["mood", "word"], ["a", "b"], ["c", "d"])
    assert "'words'. Did you mean 'word'?" in refused(capsys, "adapt", text, bare, *out)
    assert "Did you mean 'words'?" in refused(capsys, "adapt", text, shop, "--text", "wordz", *out)
    assert "Did you mean 'mood'?" in refused(capsys, "predict", text, state, shop, "--label", "moods")
    assert "is a folder, but this bundle reads text" in refused(capsys, "adapt", text, photos, *out)
    assert "is an image" in refused(capsys, "predict", text, state, next(photos.rglob("*.png")))
    assert "There is nothing at" in refused(capsys, "adapt", text, tmp_path / "none.csv", *out)
    assert "image names a column of something else" in refused(capsys, "adapt", text, shop, "--image", "words", *out)
    assert "one of them" in refused(capsys, "predict", text, state)
    assert "one of them" in refused(capsys, "predict", text, state, shop, "--say", "x")
    assert "This state was made by the learner" in refused(capsys, "predict", table, state, shop)
    blank = written(tmp_path / "blank.csv", ["mood", "words"], ["a", "b"], ["c", ""])
    assert "1 of 2 rows" in refused(capsys, "adapt", text, blank, *out)
    two = written(tmp_path / "two.csv", ["buys", "hue", "age", "size", "who"], *[["a", "red", 1, 2, i] for i in "xy"])
    assert "rows of 2 tasks ('who': x, y)" in refused(capsys, "adapt", table, two, *out)
    some = written(tmp_path / "some.csv", ["run", "second", "a", "b", "kind"], ["s", 1, 2, 3, "x"], ["s", 2, 3, 4, "y"])
    assert "series 's'" in refused(capsys, "adapt", series, some, *out)
    assert not Path(out[1]).exists()


def test_notes_about_strange_classes(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = learn(text, written(tmp_path / "one.csv", ["mood", "words"], ["good", "fine"], ["good", "great"]))
    assert "all examples are of 'good'" in capsys.readouterr().err
    assert (
        call(["predict", str(text), str(state), str(written(tmp_path / "q.csv", ["mood", "words"], ["sad", "a"]))]) == 0
    )
    assert "'sad' was not learned" in capsys.readouterr().err


def test_a_bundle_without_an_encoder_reads_no_table(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = save_bundle(tmp_path / "v", NearestNeighbour(), feature=(2,))
    assert "saved without an encoder" in refused(capsys, "adapt", vectors, shop, "--out", tmp_path / "x")
    drawings = save_bundle(tmp_path / "d", NearestNeighbour(), feature=(1, 4, 4))
    assert "give a folder" in refused(capsys, "adapt", drawings, shop, "--out", tmp_path / "x")


# The card.


def test_the_card_shows_commands_that_fit(text: Path, table: Path, series: Path, tmp_path: Path) -> None:
    card = (text / "README.md").read_text()
    assert "--say" in card and "`mood` (the answer), `words` (texts)" in card and "hashed-n-grams" in card
    card = (table / "README.md").read_text()
    assert "SUPPORT.csv" in card and "`age`, `size`, `hue`" in card and "--say" not in card
    assert "`second` (times)" in (series / "README.md").read_text()
    images = save_bundle(tmp_path / "b", NearestNeighbour(), encoder=Pixels(4))
    assert "a folder of images for each class" in (images / "README.md").read_text()
    shared(NearestNeighbour(), tmp_path / "own")
    card = (tmp_path / "own" / "README.md").read_text()
    assert "tasks of its user's own" in card and "evaluate" not in card and "bundle.adapt(" in card


def test_errors_are_ours(text: Path) -> None:
    bundle = load_bundle(text)
    for x in ([None], [["a"]], {"a": 1}, [b"bytes"], np.array(["a", 1], dtype=object)):
        with pytest.raises(QuickstudyError):
            bundle.encode(x)
