"""What can go wrong, as one small tree.

    RefDiffError
    +-- ExpressionError   the words cannot be used: empty, too long, brackets that do not match
    +-- ImageError        the picture cannot be read or has no pixels
    +-- MaskError         masks that do not fit the picture, or are no masks
    +-- ModelError        a file is not the model that was asked for, or is missing or damaged
    +-- OutputError       a result cannot be written
    +-- DataError         a data set, a manifest or earlier records cannot be used
    +-- UnavailableError  a part that is not installed, or not supported for this model

Every message says what was wrong, what was expected, and what to do next.
"""


class RefDiffError(Exception):
    """Base of everything that this package raises on bad input."""


class ExpressionError(RefDiffError):
    """The words cannot be used as an expression."""


class ImageError(RefDiffError):
    """The picture cannot be read, or is not a picture."""


class MaskError(RefDiffError):
    """Masks do not fit the picture, or are not masks."""


class ModelError(RefDiffError):
    """A model file is missing, damaged, or of another kind than asked for."""


class OutputError(RefDiffError):
    """A result cannot be written."""


class DataError(RefDiffError):
    """A data set, a manifest or the records of an earlier run cannot be used."""


class UnavailableError(RefDiffError):
    """Something that is not installed here, or not supported for this model."""
