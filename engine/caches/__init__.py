"""Caches that save memory, behind the interface of `engine/cache.py`."""
