"""The systems once more, plainly, straight from the specs and from nothing of jepa_core.

Each module draws weights of a stated size, writes them as a case folder in the official layout, and computes the
arrays such a case holds in float64. `test_variations` runs the folders through the ordinary runner: so the settings
that no recorded case has are held against a second reading of the same text.
"""
