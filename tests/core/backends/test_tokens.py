"""Words to tokens."""

from pathlib import Path

import pytest

from refdiff_core.backends.families import SD1, SD2, SDXL
from refdiff_core.backends.tokens import (
    END,
    START,
    VOCABULARY,
    _tokenizer,
    batches,
    match,
    stack_layouts,
    tokenize,
    with_sinks,
    words_to_read,
)
from refdiff_core.errors import ExpressionError
from refdiff_core.language.expression import parse
from refdiff_core.values import Expression, Word

# ids of OpenAI's own CLIP tokenizer for these words
KNOWN = {"a": 320, "red": 736, "circle": 7117, "the": 518, "!": 256, "photo": 1125}


def word(text, of):
    start = of.index(text)
    return Word(text, start, start + len(text))


@pytest.mark.parametrize(("text", "identity"), KNOWN.items())
def test_known_words_have_clips_own_ids(text, identity):
    assert tokenize(text).ids == (identity,)


@pytest.mark.parametrize(
    "text",
    [
        "a photo of a cat",
        "Don't!! 3 dogs' naïve café",
        "snowboarder  far-right",
        "\u65e5\u672c \U0001f431 ok",
        "x" * 40,
    ],
)
def test_ids_equal_open_clips_own_tokenizer(text):
    import open_clip

    theirs = open_clip.get_tokenizer("ViT-B-32")(text)[0].tolist()
    ours = tokenize(text).layout(1, 0)[0].tolist()
    assert ours == theirs


def test_a_word_of_several_pieces_gets_all_of_them():
    text = "the snowplough left"
    tokens = tokenize(text)
    assert len(tokens.ids) > 3
    positions = tokens.positions(word("snowplough", text))
    assert positions == tuple(range(2, len(tokens.ids)))
    assert tokens.positions(word("left", text)) == (len(tokens.ids),)


def test_a_repeated_word_is_read_where_it_stands():
    text = "man in front of man in white"
    tokens = tokenize(text)
    assert tokens.positions(Word("man", 16, 19)) == (5,)
    assert tokens.positions(Word("man", 0, 3)) == (1,)


def test_long_texts_go_in_chunks_of_75_between_start_and_end():
    text = " ".join(["red"] * 80)
    tokens = tokenize(text)
    layout = tokens.layout(tokens.chunks, END)
    assert layout.shape == (2, 77)
    assert layout[:, 0].tolist() == [START, START] and layout[0, 76] == END
    last = Word("red", len(text) - 3, len(text))
    (position,) = tokens.positions(last)
    assert layout.flatten()[position] == KNOWN["red"] and position == 77 + 5


def test_texts_of_one_batch_share_the_longest_layout():
    stacked = stack_layouts([tokenize("red"), tokenize("red " * 80)], pad=0)
    assert stacked.shape == (2, 2, 77)


def test_words_that_name_nothing_give_way_to_the_whole_text():
    expression = parse("second from left")
    found = words_to_read(expression, tokenize(expression.text))
    assert [positions for _, positions in found] == [(1, 2, 3)]


def test_sinks_are_said_after_the_text_and_never_read():
    expression = parse("the cup with a lid")
    plain = tokenize(expression.text)
    sunk = tokenize(with_sinks(expression.text, ". a with"))
    assert sunk.ids[: len(plain.ids)] == plain.ids and len(sunk.ids) == len(plain.ids) + 3
    assert words_to_read(expression, sunk) == words_to_read(expression, plain)
    nameless = parse("second from left")
    found = words_to_read(nameless, tokenize(with_sinks(nameless.text, ". a with")))
    assert [positions for _, positions in found] == [(1, 2, 3)]
    assert with_sinks("cup", "") == "cup"


def test_texts_are_read_together_only_with_others_of_their_length():
    assert batches([1, 2, 1, 1, 2], 2) == [[0, 2], [3], [1, 4]]
    assert batches([], 4) == []


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the snowboarder's red-and-white helmet", {"snowboarder's": 3, "helmet": 1}),
        ("an OTTOMAN, in teal!", {"ottoman": 1, "teal": 1}),
        ("left keyboard; right keyboard", {"keyboard": 1}),
        ("w/ croissant", {"croissant": 1}),
        ("café \u21165", {"café": 1}),
    ],
)
def test_punctuation_and_case_do_not_move_a_word(text, pieces):
    tokens = tokenize(text)
    vocabulary = _tokenizer()
    for part in pieces:
        start = text.lower().index(part)
        positions = tokens.positions(Word(part, start, start + len(part)))
        assert len(positions) >= pieces[part]
        said = "".join(vocabulary.id_to_token(tokens.ids[at - 1]) for at in positions)
        # the vocabulary writes bytes as the letters of latin-1
        assert said.replace("</w>", "").encode("latin-1") == part.encode()


@pytest.mark.parametrize("family", [SD1, SD2, SDXL], ids=lambda family: family.name)
def test_words_stand_at_the_same_places_in_every_text_encoder_of_a_family(family):
    expression = parse("tennisball left of the snowplough, not the red one " + "in back " * 40)
    tokens = tokenize(expression.text)
    found = dict(words_to_read(expression, tokens))
    assert {"tennisball", "snowplough", "red"} <= {word.text for word in found}
    assert all(len(found[word]) > 1 for word in found if word.text in ("tennisball", "snowplough"))
    for encoder in family.text_encoders:
        flat = tokens.layout(tokens.chunks, encoder.pad).flatten()
        assert flat[0] == START and len(flat) == tokens.chunks * 77
        for word, positions in found.items():
            alone = tokenize(word.text).ids
            assert tuple(flat[list(positions)].tolist()) == alone, word.text


def test_text_without_a_single_token_is_told():
    expression = Expression("\u2028")
    with pytest.raises(ExpressionError, match="Describe the thing"):
        words_to_read(expression, tokenize(expression.text))


def test_the_vocabulary_is_open_clips_own_file():
    import open_clip

    theirs = Path(open_clip.__file__).with_name(VOCABULARY.name)
    assert VOCABULARY.read_bytes() == theirs.read_bytes()


def test_words_are_found_among_the_tokens_of_a_host_that_changes_some():
    text = "the red sks circle"
    ours = tokenize(text)
    embedding = ours.ids[2:-1]
    # the host puts two vectors in place of the name, and a token of its own before all
    found = {1: 999, 2: ours.ids[0], 3: ours.ids[1], 4: None, 5: None, 78: ours.ids[-1]}
    matched = match(ours, found, chunks=2)
    assert matched.positions(word("red", text)) == (3,)
    assert matched.positions(word("sks", text)) == (4, 5) and embedding
    assert matched.positions(word("circle", text)) == (78,)
    assert matched.chunks == 2
