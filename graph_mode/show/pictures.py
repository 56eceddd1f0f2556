"""Pictures of a network's mistakes, as PNG bytes, for TensorBoard. Drawn with Pillow: every run
makes them at its end, and Matplotlib would take a second of it."""

import functools
import importlib.util
import io
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORST = 25
COLUMNS = 5
CELL = 44
MARGIN = 64
LIGHT, DARK = np.array([247, 251, 255.0]), np.array([8, 48, 107.0])


def of_mistakes(images, labels, logits):
    """{name: PNG} of the confusion matrix and of the most confidently misclassified images."""
    table = confusion_matrix(logits.argmax(axis=1), labels, logits.shape[1])
    worst = misclassified(images, labels, logits)
    return {"confusion_matrix": table, **({"misclassified": worst} if worst else {})}


def confusion_matrix(predictions, labels, num_classes):
    """A table of how often each class (row) was taken for each class (column)."""
    counts = np.zeros([num_classes, num_classes], np.int64)
    np.add.at(counts, (labels, predictions), 1)
    depth = np.log1p(counts) / max(np.log1p(counts).max(), 1)
    side = MARGIN + CELL * num_classes + 16
    image, draw = canvas(side, side)
    write(draw, side / 2, 14, f"{np.trace(counts)} of {counts.sum()} test images right", 16)
    write(draw, MARGIN + CELL * num_classes / 2, 38, "predicted class", 13)
    write(draw, MARGIN / 2, 38, "true class", 12)
    for row in range(num_classes):
        start = MARGIN + CELL * row
        write(draw, start + CELL / 2, 55, str(row), 13)
        write(draw, 50, start + CELL / 2, str(row), 13)
        for column, (count, shade) in enumerate(zip(counts[row], depth[row])):
            left = MARGIN + CELL * column
            colour = tuple(int(value) for value in LIGHT + shade * (DARK - LIGHT))
            draw.rectangle([left, start, left + CELL - 2, start + CELL - 2], fill=colour)
            if count:
                ink = "white" if shade > 0.55 else "black"
                write(draw, left + CELL / 2 - 1, start + CELL / 2 - 1, str(count), 12, ink)
    return png_of(image)


def misclassified(images, labels, logits):
    """The images [n, h, w, 1] most confidently taken for a wrong class, whose logit is farthest
    above that of the true one; None if all are right."""
    rows = np.arange(len(labels))
    predictions = logits.argmax(axis=1)
    margins = logits[rows, predictions] - logits[rows, labels]
    worst = np.argsort(-margins, kind="mergesort")[:WORST]
    worst = worst[predictions[worst] != labels[worst]]
    if not len(worst):
        return None
    captions = [f"{labels[example]} taken for {predictions[example]}" for example in worst]
    return captioned(images[worst], captions, COLUMNS, "Most confidently misclassified test images")


def captioned(images, captions, columns, title="", side=96, room=120):
    """PNG of images, uint8 [n, height, width, 1], light on dark, in rows, each below its caption;
    side: the pixels, about, of an image's longer side; room: how many a caption needs."""
    height, width = images[0].shape[:2]
    scale = max(1, side // max(height, width))
    step_x, step_y = max(width * scale + 20, room), height * scale + 36
    above = 32 * bool(title)
    image, draw = canvas(columns * step_x, above + -(-len(images) // columns) * step_y)
    write(draw, columns * step_x / 2, 16, title, 15)
    for place, (shown, caption) in enumerate(zip(images, captions)):
        left = place % columns * step_x + (step_x - width * scale) // 2
        top = above + place // columns * step_y + 22
        pixels = np.kron(255 - shown[:, :, 0], np.ones([scale, scale], np.uint8))
        image.paste(Image.fromarray(pixels), (left, top))
        write(draw, left + width * scale / 2, top - 10, caption, 12)
    return png_of(image)


def canvas(width, height):
    image = Image.new("RGB", (int(width), int(height)), "white")
    return image, ImageDraw.Draw(image)


def write(draw, x, y, text, size, colour="black"):
    """Draws `text` with its middle at (x, y)."""
    draw.text((x, y), text, fill=colour, font=_font(size), anchor="mm")


@functools.lru_cache(maxsize=None)
def _font(size):
    """DejaVu Sans, which Matplotlib brings along."""
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is None:
        raise ImportError("no Matplotlib, which brings the font")
    fonts = os.path.join(matplotlib.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
    return ImageFont.truetype(os.path.join(fonts, "DejaVuSans.ttf"), size)


def png_of(image):
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
