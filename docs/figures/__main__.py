"""Draw all pictures: ``python -m docs.figures [FOLDER]``."""

import sys
from pathlib import Path

from docs.figures.card import save
from docs.figures.frequency import draw_frequency_response
from docs.figures.kernels import draw_effective_kernel, draw_effective_kernels
from docs.figures.tents import draw_tents

PICTURES = {
    "effective-kernel.png": draw_effective_kernel,
    "effective-kernels.png": draw_effective_kernels,
    "tents.png": draw_tents,
    "frequency-response.png": draw_frequency_response,
}
IMAGES = Path(__file__).parents[1] / "images"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        save(draw(), folder / name)


if __name__ == "__main__":
    main()
