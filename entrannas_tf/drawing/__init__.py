"""Pictures of cells: drawings, films of a search, heat maps.

They are drawn from genotypes and arrays; files are written with
`training.files`. May import `architecture` and `training`.
"""
