"""Figures as SVG: well-formed XML whatever the words in them hold."""

import xml.etree.ElementTree as ElementTree

from skinlesion.report.svg import row_axes, to_svg


def test_words_with_control_characters_and_dollars_are_drawn_as_text():
    figure, axes = row_axes(1)
    axes.set_yticks([0], ["costs $1\x1b[31m of $2\nsecond line"])
    svg = to_svg(figure)
    words = " ".join(ElementTree.fromstring(svg).itertext())
    assert "\\x1b[31m" in words
    assert "$1" in words
    assert "second line" in words
