"""Many pictures: one after the other or side by side, with records that survive a kill.

Here: manifests, records, workers, what is said meanwhile, the files of one answer.
Not here: options of the command line (`command`), nor the method (`pipeline`).
"""
