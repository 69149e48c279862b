"""From names to models: where files lie, which parts make a variant, how they are loaded.

Here: the only place that knows all backends.
Not here: how a model is asked (`backends`), nor the options' texts (`command`).
"""
