"""What can go wrong, as one small tree.

    RefDiffError
    +-- ExpressionError   the words cannot be used: empty, too long, brackets that do not match
    +-- ImageError        the picture cannot be read or has no pixels
    +-- MaskError         masks that do not fit the picture, or are no masks
    +-- ModelError        a file is not the model that was asked for, or is missing or damaged
    +-- SettingsError     settings of a name, in a file or with a value that there are none of
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


class SettingsError(RefDiffError):
    """There are no settings of that name or in that file, or one of them takes other values."""


class OutputError(RefDiffError):
    """A result cannot be written."""


class DataError(RefDiffError):
    """A data set, a manifest or the records of an earlier run cannot be used."""


class UnavailableError(RefDiffError):
    """Something that is not installed here, or not supported for this model."""


OPTIONAL = {"segment_anything": "segment-anything", "open_clip": "open_clip_torch"}
"""Packages that only some models need, by the name that is imported."""


def foreseen(error: Exception) -> str | None:
    """What a user is told of an error that was to be expected; None of any other."""
    if isinstance(error, RefDiffError):
        return str(error)
    package = OPTIONAL.get((getattr(error, "name", None) or "").partition(".")[0])
    if not isinstance(error, ModuleNotFoundError) or package is None:
        return None
    return (
        f"This needs the package {package}, which is not installed. Leave that model out, or "
        f"install it with the Python that runs this: pip install {package}"
    )
