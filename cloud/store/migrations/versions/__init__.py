"""The steps, in the order of their names."""

__all__: list[str] = []
