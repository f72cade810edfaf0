"""A wheel brings along what lies beside the package in a checkout: notebooks, numbers, weights."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BESIDE = ("notebooks", "data/theses", "data/manifests", "data/weights")


class WithProject(build_py):
    """Copies those folders to samplevae_lib/_project, where samplevae_lib.paths looks for them."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for folder in BESIDE:
            target = Path(self.build_lib) / "samplevae_lib" / "_project" / folder
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / folder, target, ignore=shutil.ignore_patterns(".*", "__*"))


setup(cmdclass={"build_py": WithProject})
