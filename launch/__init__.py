"""Programs: flags, then one call of the library."""
