"""How far a long run is, said so that it can be read in a log."""

from refdiff_core.runs.console import Count, brief


def test_a_line_a_minute_says_how_far_how_fast_and_how_long():
    times = iter([0.0, 30.0, 60.0, 90.0, 125.0])
    count = Count(1300, "sentences", clock=lambda: next(times))
    assert count.tick(50) is None
    assert count.tick(50) == "100 of 1,300 sentences, 1.67 a second, 0:12:00 left"
    assert count.tick(50) is None
    assert count.tick(100) == "250 of 1,300 sentences, 2.00 a second, 0:08:45 left"


def test_very_long_texts_are_quoted_by_their_beginning():
    assert brief("the red cup") == "the red cup"
    assert len(brief("x" * 100_000)) == 200 and brief("x" * 100_000).endswith("x...")
