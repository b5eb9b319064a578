"""The packages: folder `engine/…` is installed as `llm_holes.engine…`, and so are `lessons` and `tui`."""

from setuptools import find_packages, setup

TOPS = ("engine", "lessons", "tui")
setup(
    packages=[f"llm_holes.{name}" for top in TOPS for name in (top, *(f"{top}.{sub}" for sub in find_packages(top)))],
    package_dir={f"llm_holes.{top}": top for top in TOPS},
)
