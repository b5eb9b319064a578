"""Caches that save memory, behind the interface of `engine/model/cache.py`."""
