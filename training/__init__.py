"""How the demo models were made: one seeded command per model (see README.md)."""
