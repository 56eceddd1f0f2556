"""One's own digits, photographed or drawn, prepared as those of MNIST were.

A digit of MNIST, light on black, was scaled to fit a box of 20 of the 28 pixels, and put with its
centre of mass in the middle (http://yann.lecun.com/exdb/mnist).
"""

import warnings

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from graph_mode.command_line import CommandError, say
from graph_mode.output_file import output_file
from graph_mode.show import pictures

LARGEST_PIXELS = 80_000_000  # of a picture; those of large telephone cameras have 50 million
WORKING_SIZE = 600  # pixels of the longer side while a picture is worked on
FAINTEST_INK = 20  # how far ink must differ from the paper, of 255
BOX = 20 / 28  # how much of the image the digit fills
THINNEST_STROKE = 2.0  # pixels; a thinner one is drawn thicker: most of MNIST's are 2 to 4 wide
LETTER, WIDEST = 8, 900  # pixels: of a caption's letter, and of the picture of all digits
CELLS = 60  # of the longer side of the grid in which specks are told from digits


def read_digit(path, height=28, width=28):
    """Returns the digit in the picture at `path` as uint8 [height, width, 1], light on black.

    The picture may show it dark or light, with shadows and specks, turned as its EXIF data say.
    What may not be one digit is told. Raises CommandError for what is no picture of a digit.
    """
    ink = _without_specks(_ink(_grey(path), path), path)
    rows, columns = np.flatnonzero(ink.max(1) > 0.25), np.flatnonzero(ink.max(0) > 0.25)
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(BOX * height / ink.shape[0], BOX * width / ink.shape[1])
    # Strokes are made thicker where that is quick: at four times the final size.
    ink = _resized(_thickened(_resized(ink, 4 * scale), 4 * THINNEST_STROKE), 1 / 4)
    digit = np.zeros([height, width, 1], np.uint8)
    top, left = _start(ink.sum(1), height), _start(ink.sum(0), width)
    inside = np.rint(255 * ink / ink.max()).astype(np.uint8)
    digit[top : top + len(inside), left : left + inside.shape[1], 0] = inside
    return digit


def picture_of(digits, captions, path):
    """Writes a PNG that shows digits, uint8 [n, height, width, 1], each with its caption."""
    room = max(170, LETTER * max(map(len, captions)))
    columns = min(len(digits), max(1, WIDEST // room))
    with output_file(path, "wb") as file:
        file.write(pictures.captioned(digits, captions, columns, side=112, room=room))


def _grey(path):
    """Returns the picture as float [height, width] from 0 (black) to 255, not too large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path)
        if image.width * image.height > LARGEST_PIXELS:
            raise ValueError(f"more than {LARGEST_PIXELS:,} pixels")
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"{path}: not a picture, expected a PNG or JPEG ({reason})") from None
    image.thumbnail((WORKING_SIZE, WORKING_SIZE))
    return np.asarray(image, np.float32)


def _ink(grey, path):
    """Returns how much ink is on each pixel, from 0 to 1, whatever its colour and the light."""
    problem = f"{path}: nothing to see, expected a digit that stands out from its background"
    if min(grey.shape) < 5:
        raise CommandError(problem)
    # Noise must not count as ink: it is smoothed at a scale at which a stroke is not.
    smooth = _image(grey).filter(ImageFilter.GaussianBlur(max(grey.shape) / 300))
    grey = np.asarray(smooth, np.float32)
    # The paper is what is seen along the border.
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    darkest, lightest = np.percentile(grey, [0.3, 99.7])
    if lightest - paper > paper - darkest:
        grey = 255 - grey
    ink = _paper(grey) - grey
    strongest = np.percentile(ink, 99.7)
    if strongest < FAINTEST_INK:
        raise CommandError(problem)
    # What is weaker than noise or shadows usually are is paper.
    noise = 4 * np.median(ink[ink < strongest / 4])
    weakest = min(max(noise, 0.02 * strongest), strongest / 3)
    strongest = np.median(ink[ink > strongest / 2])
    return np.clip((ink - weakest) / (strongest - weakest), 0, 1)


def _paper(grey):
    """Returns the picture without what is dark and narrow, as no shadow is: a closing."""
    small = _image(grey)
    small.thumbnail((48, 48), Image.BOX)
    margin = max(small.size) // 5
    reach = 2 * margin + 1
    padded = _image(np.pad(np.asarray(small), margin, mode="edge"))
    closed = padded.filter(ImageFilter.MaxFilter(reach)).filter(ImageFilter.MinFilter(reach))
    paper = ImageOps.crop(closed, margin).resize(grey.shape[::-1], Image.BICUBIC)
    return np.maximum(np.asarray(paper, np.float32), grey)


def _image(values):
    return Image.fromarray(np.rint(values).astype(np.uint8))


def _without_specks(ink, path):
    """Returns `ink` with only what may belong to a digit: large pieces, away from the border."""
    cell = max(1, -(-max(ink.shape) // CELLS))
    rows, columns = -(-ink.shape[0] // cell), -(-ink.shape[1] // cell)
    room = (0, rows * cell - ink.shape[0]), (0, columns * cell - ink.shape[1])
    cells = np.pad(ink, room, mode="constant").reshape(rows, cell, columns, cell).max((1, 3))
    pieces = _pieces(cells > 0.4)
    inside = {(row, column) for row in range(1, rows - 1) for column in range(1, columns - 1)}
    inner = [piece for piece in pieces if inside.issuperset(piece)]
    quarter = max(map(len, pieces)) / 4
    is_left_out = any(len(piece) > quarter for piece in inner)
    if any(piece not in inner and len(piece) >= quarter for piece in pieces):
        what = "was left out" if is_left_out else "was read as ink"
        say(f"{path}: what touches the border of the picture {what}")
    pieces = inner if is_left_out else pieces
    largest = max(map(len, pieces))
    large = sum(len(piece) >= largest / 3 for piece in pieces)
    if large > 1:
        say(f"{path}: found {large} separate pieces of ink, expected one digit")
    kept = np.zeros([rows + 2, columns + 2], bool)
    for piece in pieces:
        if len(piece) >= largest / 10:
            for row, column in piece:
                # With the cells around it, which hold the soft edges of its strokes.
                kept[row : row + 3, column : column + 3] = True
    kept = kept[1:-1, 1:-1].repeat(cell, 0).repeat(cell, 1)
    return ink * kept[: ink.shape[0], : ink.shape[1]]


def _pieces(cells):
    """Returns the connected pieces of a boolean array [rows, columns], as lists of positions."""
    left, pieces = set(zip(*np.nonzero(cells))), []
    while left:
        piece = [left.pop()]
        for row, column in piece:
            around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            piece += around
        pieces.append(piece)
    return pieces


def _thickened(ink, thinnest):
    """Returns `ink` with strokes at least about `thinnest` pixels wide."""
    drawn = np.pad(ink > 0.5, 1)
    inside = drawn[1:-1, :-2] & drawn[1:-1, 2:] & drawn[:-2, 1:-1] & drawn[2:, 1:-1]
    area = max(drawn.sum(), 1)
    edge = max(area - (inside & drawn[1:-1, 1:-1]).sum(), 1)
    missing = int(round((thinnest - 2 * area / edge) / 2))
    if missing < 1:
        return ink
    thick = _image(255 * ink).filter(ImageFilter.MaxFilter(2 * missing + 1))
    return np.asarray(thick, np.float32) / 255


def _resized(ink, scale):
    """Returns `ink` in another size, with its strongest at 1."""
    size = [max(1, int(round(length * scale))) for length in ink.shape[::-1]]
    image = _image(255 * ink).resize(size, Image.BOX if scale < 1 else Image.BICUBIC)
    return np.asarray(image, np.float32) / max(np.max(image), 1)


def _start(mass, length):
    """Returns where to put ink so that its centre of mass is on line length / 2, as in MNIST."""
    centre = (mass * np.arange(len(mass))).sum() / mass.sum()
    start = int(round(length / 2 - centre))
    return min(max(start, 0), length - len(mass))
