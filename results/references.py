# SPDX-License-Identifier: MIT
"""Where the last reference run is: a folder in results/data/, named DATE-REVISION-HOST, whose files
are never edited."""
import pathlib

from envelopes import Malformed

DATA = pathlib.Path(__file__).parent / "data"


def folders():
    """Oldest first: a name begins with the date."""
    return sorted(path for path in DATA.glob("*") if path.is_dir())


def results_in(folder):
    return sorted(path for path in folder.iterdir() if path.name.endswith((".json", ".json.gz")))


def find(folder, files):
    """The results to compare `files` with: those in `folder`; without one, of the last reference
    that none of the files is part of. Empty: there are none."""
    if folder is not None:
        folder = pathlib.Path(folder)
        if not folder.is_dir() or not results_in(folder):
            raise Malformed(f"{folder} holds no results to compare with")
        return results_in(folder)
    own = {pathlib.Path(file).resolve().parent for file in files}
    others = [each for each in folders() if each.resolve() not in own]
    return results_in(others[-1]) if others else []
