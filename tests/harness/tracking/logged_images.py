"""What the W&B mirror leaves in a run's folder: its pictures; and a key that looks like a real one."""

from PIL import Image

KEY = "0123456789abcdef" * 2 + "01234567"


def images_of(root):
    """Figures of the runs under a folder, by name; each is a PNG that can be read whole."""
    found = {}
    for path in root.glob("wandb/*run-*/files/media/images/figures/*.png"):
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG"
            assert image.width > 300
            colours = len(image.convert("RGB").getcolors(2**24))
        assert colours > 20  # it is not blank
        found.setdefault(path.stem.rsplit("_", 2)[0], []).append(path)
    return found


CELL_FIGURES = {"columns", "pair_trends", "map", "violations", "column_order"}
