"""Text in figures: shown as it is, in fonts that have its characters."""

FONT = "DejaVu Sans"
# Pictures that matplotlib cannot draw, and a font of one box for each alphabet.
UNREADABLE_FONTS = ("Emoji", "Last Resort")


def fonts_for(texts):
    """Font families that have the characters of some texts, and the set of those that none has.

    matplotlib's own FONT comes first; it is enough but for texts in Chinese, Thai and the like.
    """
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    families = [FONT]
    characters = {character for text in texts for character in text if character.isprintable()}
    own = FT2Font(font_manager.findfont(FONT)).get_charmap()
    missing = {character for character in characters if ord(character) not in own}
    # Before 3.6 matplotlib takes no second font for what the first one does not have.
    if not missing or tuple(map(int, matplotlib.__version__.split(".")[:2])) < (3, 6):
        return families, missing
    for entry in sorted(font_manager.fontManager.ttflist, key=lambda entry: entry.fname):
        if not missing:
            break
        if entry.style != "normal" or any(name in entry.name for name in UNREADABLE_FONTS):
            continue
        try:
            charmap = FT2Font(entry.fname).get_charmap()
        except (OSError, RuntimeError):
            continue
        found = {character for character in missing if ord(character) in charmap}
        if found:
            families.append(entry.name)
            missing -= found
    return families, missing


def plain(text, missing):
    """Text that matplotlib shows as it is.

    Not taken as a formula for its $, not left out of a legend for its leading _; characters that
    cannot be shown become their code, so that two names never look the same.
    """
    text = "".join(
        character if character.isprintable() and character not in missing else code_of(character)
        for character in text
    )
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") or not text else text


def code_of(character):
    return f"<{ord(character):x}>"
