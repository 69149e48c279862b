"""The bundled demo models and the synthetic scenes that they know: coloured shapes, no more."""
