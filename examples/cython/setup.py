"""python setup.py build_ext --inplace"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import lrkern

extension = Extension("training", ["training.pyx"], include_dirs=[lrkern.get_include()])

# include_path is where `lrkern` is: Cython finds installed packages by itself, but not those installed with pip -e.
packages = [str(Path(lrkern.__file__).parent.parent)]
setup(name="training", ext_modules=cythonize([extension], include_path=packages))
