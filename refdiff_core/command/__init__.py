"""The command line `refdiff`: options, and what each command does with them.

Here: click, exit codes, what is printed; one file a command.
Not here: anything that Python callers need as well (`pipeline`, `runs`, `models`).
"""
