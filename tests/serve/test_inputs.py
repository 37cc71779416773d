"""Pictures, texts, rows and tables, as they come from outside."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from quickstudy.bundle import load_bundle
from quickstudy.errors import UserError
from quickstudy.serve.inputs import pictures, reading
from quickstudy.serve.settings import Limits

from .test_tasks import answers, error, made


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def sent(data: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(data).decode()}


def drawing(shape: str, size: int = 120, *, dark: bool = True, at: int = 0) -> Image.Image:
    """A circle or a cross, dark on light paper or light on dark."""
    image = Image.new("L", (size, size), 255 if dark else 0)
    pen, ink = ImageDraw.Draw(image), 0 if dark else 255
    low, high = size // 5 + at, size // 2 + at
    if shape == "circle":
        pen.ellipse((low, low, high, high), outline=ink, width=size // 20)
    else:
        pen.line((low, low, high, high), fill=ink, width=size // 20)
        pen.line((low, high, high, low), fill=ink, width=size // 20)
    return image


def test_drawings_are_seen_alike_wherever_and_however_they_are_drawn(bundles: Path) -> None:
    bundle = load_bundle(bundles / "glyphs")
    plain = pictures.picture(bundle, file_of(drawing("circle")))
    assert plain.shape == (1, 28, 28) and plain.max() > 0.6 and plain[0, 0].max() == 0  # ink is light, paper dark
    cross = pictures.picture(bundle, file_of(drawing("cross")))
    for other in (drawing("circle", dark=False), drawing("circle", at=30), drawing("circle", 240)):
        found = pictures.picture(bundle, file_of(other))
        assert np.abs(found - plain).mean() < np.abs(found - cross).mean() / 3
    clear = Image.new("RGBA", (120, 120), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=drawing("circle", dark=False))
    assert np.abs(pictures.picture(bundle, file_of(clear)) - plain).mean() < 0.03
    assert pictures.picture(bundle, file_of(Image.new("L", (50, 50), 200))).max() == 0  # nothing is drawn


def test_a_task_of_drawings(started: Callable[..., Any]) -> None:
    client = started("glyphs")
    given = [{"x": sent(file_of(drawing(s, at=k))), "y": s} for s in ("circle", "cross") for k in (0, 12, 24)]
    task = made(client, name="Shapes", examples=given)["id"]
    asked = [
        sent(file_of(drawing(s, 200, at=5), kind)) for s in ("circle", "cross") for kind in ("PNG", "JPEG", "WEBP")
    ]
    assert [a["answer"] for a in answers(client, task, *asked)] == ["circle"] * 3 + ["cross"] * 3
    item = client.get(f"/v1/tasks/{task}").json()["items"][0]
    shown = client.get(f"/v1/tasks/{task}/examples/{item['id']}/picture")
    assert item["has_picture"] and shown.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(shown.content)) as image:
        assert max(image.size) <= 128 and np.asarray(image.convert("L")).min() < 64
    found = client.post(f"/v1/tasks/{task}/explain", json={"x": asked[0]}).json()
    assert np.shape(found["occlusion"]) == (28, 28)
    numbers = pictures.picture(load_bundle(Path(client.app.state.service.settings.bundle)), file_of(drawing("cross")))
    assert answers(client, task, numbers.tolist())[0]["answer"] == "cross"


def bomb(width: int, height: int) -> bytes:
    """A PNG of so many white pixels, about a thousandth as long."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packed = zlib.compress(bytes(height * (1 + width // 8)), 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


POISON = {
    "nothing": b"", "noise": b"\x00\x01\x02" * 50, "html": b"<svg onload=alert(1)>",
    "pickle": b"\x80\x04cos\nsystem\n.",
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "pdf": b"%PDF-1.4\n%%EOF",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n", "zip": b"PK\x03\x04" * 30,
    "gif cut": b"GIF89a\xff\xff\xff\xff", "png cut": b"\x89PNG\r\n\x1a\n\x00\x00", "bmp cut": b"BM" + b"\xff" * 60,
    "tiff": b"II*\x00" + b"\xff" * 40, "ico": b"\x00\x00\x01\x00\x01\x00" + b"\xff" * 30,
    "webp cut": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    "jpeg cut": b"\xff\xd8\xff\xe0\x00\x10JFIF", "ppm": b"P6 99999 99999 255\n", "xbm": b"#define x_width 9",
    "dcx": b"\xb1h\xde:" * 9,
    "ftex": b"FTEX" + b"\xff" * 50, "wide": bomb(4_000_000, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
def test_poisoned_pictures_are_refused(name: str, bundles: Path) -> None:
    bundle = load_bundle(bundles / "glyphs")
    data = POISON[name]
    if name == "wide":
        assert pictures.picture(bundle, data).shape == (1, 28, 28)  # strange, and harmless
        return
    with pytest.raises(UserError):
        reading.read(bundle, [sent(data)], Limits())


def test_bombs_are_refused_before_they_are_unpacked(started: Callable[..., Any]) -> None:
    client = started("glyphs")
    large = bomb(40_000, 40_000)
    assert len(large) * 900 < 40_000 * 40_000 / 8
    told = error(client.post("/v1/tasks", json={"examples": [{"x": sent(large), "y": "a"}]}))
    assert told[:2] == (413, "TooMuch") and "pixels" in told[2]
    many = [{"x": sent(bomb(4_992, 4_992)), "y": "a"}] * 5  # each is allowed, all of them are not
    assert error(client.post("/v1/tasks", json={"examples": many}))[:2] == (413, "TooMuch")


def test_strange_pictures_are_read(bundles: Path) -> None:
    bundle = load_bundle(bundles / "glyphs")
    ink = np.zeros((60, 40), np.uint16)
    ink[20:40, 10:30] = 60_000
    frames = [Image.new("L", (30, 30), c) for c in (0, 255)]
    files = [
        file_of(Image.fromarray(ink)), file_of(Image.new("CMYK", (9, 9)), "JPEG"), file_of(Image.new("1", (1, 1))),
        file_of(Image.new("L", (1, 10_000))), file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        file_of(Image.new("P", (12, 12)), "BMP"), file_of(Image.new("LA", (7, 9))),
    ]  # fmt: skip
    for data in files:
        found = pictures.picture(bundle, data)
        assert found.shape == (1, 28, 28) and found.min() >= 0 and found.max() <= 1
    turned = drawing("cross").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees, clockwise
    with_exif = pictures.picture(bundle, file_of(turned, "PNG", exif=exif))
    assert np.allclose(with_exif, pictures.picture(bundle, file_of(drawing("cross"))), atol=0.05)


def test_a_task_of_texts(started: Callable[..., Any]) -> None:
    client = started("texts")
    csv = b'words;mood\n"lovely, really good";good\nbad and awful;bad\n'
    task = made(client)["id"]
    found = client.post(f"/v1/tasks/{task}/examples", content=csv, headers={"Content-Type": "text/csv"}).json()
    assert [(c["name"], c["examples"]) for c in found["classes"]] == [("good", 1), ("bad", 1)]
    assert client.get(f"/v1/tasks/{task}").json()["items"][0]["text"] == "lovely, really good"
    assert answers(client, task, "bad and awful")[0]["answer"] == "bad"
    told = client.post(f"/v1/tasks/{task}/explain", json={"x": "bad and awful"}).json()
    assert [word for word, _ in told["words"]] == ["bad", "and", "awful"]
    for x in ("", " ", 7, "x" * 20_001, {"image": ""}, ["a"]):
        assert error(client.post(f"/v1/tasks/{task}/predict", json={"x": [x]}))[0] == 422
    half = b'{"x": ["\\ud800"]}'  # half of a character
    answer = client.post(f"/v1/tasks/{task}/predict", content=half, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_task_of_rows(started: Callable[..., Any]) -> None:
    client = started("rows")
    assert client.get("/v1/bundle").json()["columns"] == ["age", "hue"]
    csv = "\ufeffkind,hue,age,more\nyoung,red,1,x\nold,blue,70,y\nold,,NA,z\n".encode()
    task = made(client)["id"]
    found = client.post(f"/v1/tasks/{task}/examples", content=csv, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert found.json()["examples"] == 3
    rows = [{"age": "2", "hue": "red"}, {"age": 80, "hue": "never seen"}, {"age": None, "hue": None}]
    assert [a["answer"] for a in answers(client, task, *rows)] == ["young", "old", "old"]
    told = client.post(f"/v1/tasks/{task}/explain", json={"x": rows[0]}).json()
    assert [name for name, _ in told["columns"]] == ["age", "hue"]
    for x in ({"age": 1}, {"age": "old", "hue": "red"}, {"age": [1], "hue": "red"}, [1, 2], {"age": 1, "hue": {}}):
        assert error(client.post(f"/v1/tasks/{task}/predict", json={"x": [x]}))[:2] == (422, "BadExamples")


@pytest.mark.parametrize(
    "csv",
    ["", "a", "a,b", "a,label\n1", "a,label\n1,", "a,label\n1,x,2", 'a,label\n"1,x', "a,label\n" + "1,x\n" * 1_001],
)
def test_tables_that_are_none(client: Any, csv: str) -> None:
    task = made(client)["id"]
    answer = client.post(f"/v1/tasks/{task}/examples", content=csv.encode(), headers={"Content-Type": "text/csv"})
    assert answer.status_code in (415, 422) and client.get(f"/v1/tasks/{task}").json()["examples"] == 0
    bad = client.post(
        f"/v1/tasks/{task}/examples", content=b"a,label\n\xff\xfe,x", headers={"Content-Type": "text/csv"}
    )
    assert bad.status_code == 422


def test_a_regression(started: Callable[..., Any]) -> None:
    client = started("regression")
    given = [{"x": [float(i), 0.0], "y": 10.0 * i} for i in range(6)]
    task = made(client, examples=given)
    assert task["classes"] == [] and task["ready"]
    assert answers(client, task["id"], [3.1, 0.0])[0]["value"] == pytest.approx(30.0)
    quality = client.get(f"/v1/tasks/{task['id']}/quality").json()
    # The nearest of the ends is 10 off; the others lie half way between two, whose mean is right.
    assert quality["mse"] == pytest.approx(200 / 6) and quality["low"] <= 200 / 6 <= quality["high"]
    assert client.get(f"/v1/tasks/{task['id']}").json()["items"][2]["y"] == 20.0
    for y in ("a lot", [1.0, 2.0]):
        answer = client.post(f"/v1/tasks/{task['id']}/examples", json={"examples": [{"x": [0.0, 0.0], "y": y}]})
        assert error(answer)[0] == 422
