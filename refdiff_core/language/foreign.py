"""Whether a line is written in a language that the parser does not read.

By script, and by the small words of six languages: as good on short lines as a statistical
detector, which needs whole sentences (docs/method.md has both measured).
"""

from __future__ import annotations

import re
import unicodedata

from .parsing.lexicon import KNOWN_NOUNS, look_up

_SMALL_WORDS = {
    "German": "der die das den dem des ein eine einen einem einer und mit auf unter neben hinter "
    "vor links rechts oben unten rote roter rotes roten linken rechten linke rechte im am zur zum "
    "nicht alle ohne hund katze frau mann blaue grosse große kleine schwarze weisse weiße grüne",
    "French": "le la les un une des du au aux et avec sur sous dans derrière devant gauche droite "
    "rouge noir noire blanc blanche bleu bleue vert verte petit petite grand grande pas sans tous "
    "toutes chien chat femme homme est qui à côté",
    "Spanish": "el la los las un una unos unas del al y con sobre en bajo detrás delante izquierda "
    "derecha rojo roja negro negra blanco blanca azul verde grande pequeño pequeña sin todos todas "
    "perro gato mujer hombre que de",
    "Italian": "il lo la gli le un una uno del della dei delle con su sotto nel nella sinistra "
    "destra rosso rossa nero nera bianco bianca blu verde grande piccolo piccola senza tutti "
    "tutte cane gatto donna uomo che di al alla sulla dietro davanti",
    "Portuguese": "o os as um uma uns umas do da dos das e com em no na nos nas sobre esquerda "
    "direita vermelho vermelha preto preta branco branca azul verde grande pequeno pequena sem "
    "todos todas cachorro gato mulher homem que de à ao atrás frente",
    "Dutch": "de het een en met op onder naast achter voor links rechts rode blauwe zwarte witte "
    "groene grote kleine zonder alle hond kat vrouw man die dat van niet boven",
}
_WORDS = {name: frozenset(words.split()) for name, words in _SMALL_WORDS.items()}
_ENGLISH = frozenset(
    "the a an of in on at to and with without not is are that this left right top bottom "
    "front back behind under over near by for from red black white blue green yellow man "
    "woman person one all both every dog cat car cup as his her its who which large small "
    "die de man no do as or".split()
)
_SCRIPTS = {
    "CYRILLIC": "Russian or another language in Cyrillic",
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "THAI": "Thai",
    "DEVANAGARI": "Hindi",
}


def foreign_language(text: str) -> str | None:
    """The language that a line seems to be written in, None for English and what cannot be told."""
    if text.isascii():
        return _by_words(text)
    letters = [character for character in text if character.isalpha()]
    scripts = [unicodedata.name(character, "").split(" ")[0] for character in letters]
    foreign = [script for script in scripts if script in _SCRIPTS]
    if len(foreign) * 2 > len(letters):
        return (
            next((_SCRIPTS[s] for s in foreign if s in ("HIRAGANA", "KATAKANA")), None)
            or (_SCRIPTS[foreign[0]])
        )
    return _by_words(text)


def _by_words(text: str) -> str | None:
    words = re.findall(r"\w+", text.lower())[:100]
    hits = {name: sum(word in known for word in words) for name, known in _WORDS.items()}
    best = max(hits, key=lambda name: hits[name])
    english = sum(word in _ENGLISH for word in words)
    only = sum(word in _WORDS[best] - _ENGLISH for word in words)
    known = english or any(word in KNOWN_NOUNS or look_up(word)[0] != "n" for word in words)
    enough = hits[best] > 1 or (hits[best] == 1 and not known)
    return best if enough and only and hits[best] > english else None
