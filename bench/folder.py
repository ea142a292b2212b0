"""A folder in the scratch, and the files in it."""

import os


class Folder:
    """Has `folder`, its path."""

    def file(self, name, text=None):
        """The path of a file in it, which holds `text` from now on, if that is given."""
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w") as f:
                f.write(text)
        return path
