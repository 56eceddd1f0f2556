"""Pictures of one digit that differ in everything but the digit come out alike."""

import io
import re

import numpy as np
import pytest
from helpers import first_examples
from PIL import Image, ImageDraw

from graph_mode.command_line import CommandError
from graph_mode.show import digits

SEVEN = [(0.1, 0.1), (0.8, 0.1), (0.35, 0.9)]


def drawing(size=300, pen=30, offset=(0, 0), canvas=(400, 400), paper=235, ink=20):
    """A seven, drawn as grey [height, width]."""
    image = Image.new("L", canvas, paper)
    points = [(50 + offset[0] + size * x, 50 + offset[1] + size * y) for x, y in SEVEN]
    ImageDraw.Draw(image).line(points, fill=ink, width=pen, joint="curve")
    return np.array(image)


def png(picture):
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    """read(picture, **sizes): the digit that read_digit() finds in a PNG of it."""

    def write_and_read(picture, **sizes):
        (tmp_path / "digit.png").write_bytes(png(picture))
        return digits.read_digit(str(tmp_path / "digit.png"), **sizes)

    return write_and_read


def difference(first, second):
    """Mean absolute difference, where an image may be a pixel away: the centre is rounded."""
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(abs(np.roll(first, shift, (0, 1)).astype(float) - second).mean() for shift in shifts)


def shadowed(pixels):
    """Light from one side, the sharp shadow of a hand, and noise."""
    height, width = pixels.shape
    y, x = np.mgrid[:height, :width]
    light = (0.75 + 0.25 * x / width) * np.where(x + 0.3 * y > 0.6 * width, 0.7, 1)
    return np.clip(pixels * light + RANDOM.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def specked(pixels):
    """With specks, and at the left where the paper ends the table."""
    for place in range(5, 380, 75):
        pixels[place : place + 3, 370:373] = pixels[370:374, place : place + 3] = 20
    pixels[:, :12] = 60
    return pixels


RANDOM = np.random.RandomState(0)
STROKES = Image.fromarray(255 - drawing(paper=255, ink=0))
SAME = {
    "light on dark": drawing(paper=10, ink=250),
    "little contrast": drawing(paper=140, ink=90),
    "large": drawing(size=1800, pen=180, canvas=(2400, 2000)),
    "small": drawing(size=100, pen=10, canvas=(300, 300)),
    "in a corner of a large sheet": drawing(size=250, pen=25, canvas=(1500, 1200)),
    "shadowed paper": shadowed(drawing(paper=230, ink=30)),
    "noise": (drawing() * 0.8 + RANDOM.uniform(0, 40, (400, 400))).astype(np.uint8),
    "specks and the edge of the paper": specked(drawing()),
    "colours": Image.merge("RGB", [Image.fromarray(drawing(ink=ink)) for ink in (20, 40, 180)]),
    "dark on nothing": Image.merge("LA", [Image.new("L", STROKES.size, 0), STROKES]),
}


@pytest.mark.parametrize("kind", list(SAME))
def test_the_same_digit_looks_the_same(kind, read):
    digit = read(SAME[kind])
    assert (digit.shape, digit.dtype) == ((28, 28, 1), np.uint8)
    assert difference(digit, read(drawing())) < (4 if "nothing" in kind else 8)


def test_a_photograph_is_turned_as_its_exif_data_say(read, tmp_path):
    turned = Image.fromarray(drawing()).transpose(Image.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    path = str(tmp_path / "digit.jpg")
    turned.save(path, exif=exif)
    assert difference(digits.read_digit(path), read(drawing())) < 4


@pytest.mark.parametrize("pen", [2, 6, 60])
def test_strokes_are_as_bright_and_not_thinner_than_those_of_mnist(pen, read):
    digit = read(drawing(pen=pen))
    # 47 pixels long, it covers at least 1.5 pixels of width.
    assert digit.max() == 255 and (digit > 100).sum() > 50


def test_what_may_not_be_one_digit_is_told(read, capsys):
    read(drawing())
    assert capsys.readouterr().err == ""
    lined = drawing()
    lined[:, 370:378] = 20
    assert difference(read(lined), read(drawing())) < 8
    assert "digit.png: what touches the border" in capsys.readouterr().err
    read(np.concatenate([drawing(), drawing()], axis=1))
    assert "digit.png: found 2 separate pieces of ink" in capsys.readouterr().err


def test_another_size_of_images_keeps_the_proportions(read):
    digit = read(drawing(), height=56, width=56)
    small = digit.reshape(28, 2, 28, 2).mean((1, 3))[..., np.newaxis]
    assert difference(small, read(drawing())) < 8
    assert read(drawing(), height=32, width=20).shape == (32, 20, 1)


def centre_of_mass(image):
    return (np.mgrid[:28, :28] * image.astype(float)).sum((1, 2)) / image.sum()


def test_enlarged_images_of_mnist_come_back(read):
    differences = []
    for number, image in enumerate(first_examples("t10k", 12)[0]):
        # Dark on light, ten times as large, somewhere on a sheet.
        large = np.asarray(Image.fromarray(255 - image).resize((280, 280), Image.BICUBIC))
        large = np.pad(large, ((60, 200), (150, 40)), constant_values=255)
        picture = [image, large, 255 - large, shadowed(40 + 0.75 * large)][number % 4]
        found = read(picture)[..., 0]
        differences.append(difference(found, image))
        assert abs(centre_of_mass(found) - centre_of_mass(image)).max() <= 1
    # Of 255. Unlike images differ by 30 to 50.
    assert np.mean(differences) < 6 and np.max(differences) < 14


NOT_A_PICTURE = "not a picture, expected a PNG or JPEG ("
BAD_PICTURES = {
    "one grey": (png(np.full((90, 90), 200, np.uint8)), "nothing to see, expected a digit that"),
    "one pixel": (png(np.zeros((1, 1), np.uint8)), "nothing to see"),
    "faint": (png(drawing(ink=228)), "nothing to see"),
    "large": (png(drawing(canvas=(1600, 400))), NOT_A_PICTURE + "more than 500,000 pixels)"),
    "cut off": (png(drawing())[:-400], NOT_A_PICTURE),
    "a text": (b"a text", NOT_A_PICTURE + "cannot identify"),
    "missing": (None, NOT_A_PICTURE + "No such file or directory)"),
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_what_is_no_picture_of_a_digit_is_told_in_one_line(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "LARGEST_PIXELS", 500_000)
    content, message = BAD_PICTURES[kind]
    path = tmp_path / "mine.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=rf"\A{path}: {re.escape(message)}.*\Z"):
        digits.read_digit(str(path))


def test_a_picture_shows_every_digit(tmp_path):
    images, _ = first_examples("t10k", 7)
    path = str(tmp_path / "new" / "seen.png")
    digits.picture_of(images[..., np.newaxis], ["digit.png: 7 (0.98)"] * 7, path)
    shown = np.asarray(Image.open(path).convert("L"))
    for place, image in enumerate(images):
        left, top = place % 5 * 170 + 29, place // 5 * 148 + 22
        cell = shown[top : top + 112 : 4, left : left + 112 : 4]
        np.testing.assert_array_equal(cell, 255 - image)
