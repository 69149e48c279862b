"""Adapters to the heavy libraries, one a file; imported only when a model is asked for."""
