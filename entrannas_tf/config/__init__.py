"""Typed configurations: dataclasses, the rules of their fields, reading.

`search` and `retrain` hold the fields, `schema` turns dicts into them and back
and says what is wrong. Values only: nothing is loaded or built. May import
`architecture`.
"""
