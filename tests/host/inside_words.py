"""Words in the host's prompts: which tokens stand for them; for `inside.py`."""

import json

import torch
from hosted import load, ours


class TokenizerOf:
    """A CLIP of a family as far as its tokenizer goes: no weights are needed for that."""

    def __init__(self, family):
        from comfy.sdxl_clip import SDXLTokenizer
        from comfy.text_encoders.sd2_clip import SD2Tokenizer

        self.tokenizer = {"sdxl": SDXLTokenizer, "sd2": SD2Tokenizer}[family]()

    def tokenize(self, text, **options):
        return self.tokenizer.tokenize_with_weights(text, **options)


def words(family, lines):
    """Which tokens stand for which words, in the host's prompt syntax, for each text encoder."""
    prompt = ours("nodes._prompt")
    clip = load("demo")[1] if family == "demo" else TokenizerOf(family)
    return {line: _words(prompt, clip, line) for line in json.loads(lines)}


def _words(prompt, clip, line):
    expression = prompt.read_line(line)
    tokens = prompt.tokenize_prompt(clip, expression)
    found = {}
    for key, chunks in tokens.groups.items():
        flat = [token for chunk in chunks for token in chunk]
        vocabulary = getattr(clip.tokenizer, f"clip_{key}").inv_vocab
        found[key] = {
            word.text: [
                vocabulary[flat[at][0]] if isinstance(flat[at][0], int) else "embedding"
                for at in tokens.positions(word)
            ]
            for word in expression.target_words
        }
    return {"text": expression.text, "words": found}


def embedding(line):
    """An embedding of three vectors, "test-cat", in a prompt."""
    import tempfile

    import folder_paths
    from safetensors.torch import save_file

    prompt = ours("nodes._prompt")
    with tempfile.TemporaryDirectory() as folder:
        # of the width that CLIP's tokenizer wants to see
        save_file({"clip_l": torch.ones(3, 768)}, f"{folder}/test-cat.safetensors")
        folder_paths.add_model_folder_path("embeddings", folder)
        _, clip, _ = load("demo")
        expression = prompt.read_line(line)
        tokens = prompt.tokenize_prompt(clip, expression)
    vocabulary = clip.tokenizer.clip_l.inv_vocab
    flat = [token for chunk in tokens.groups["l"] for token in chunk]

    def read(word):
        ids = [flat[at][0] for at in tokens.positions(word)]
        return [vocabulary[each] if isinstance(each, int) else "embedding" for each in ids]

    others = [word for relation in expression.relations for word in relation.words]
    return {
        "text": expression.text,
        "words": {word.text: read(word) for word in expression.target_words},
        "relation": {word.text: read(word) for word in others},
    }
