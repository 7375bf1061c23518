"""Image files decoded to RGB arrays."""

import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Named, so that a file cannot select a format that runs other programs, as EPS does.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_SUFFIXES = (
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .webp .tif .tiff .ppm .pgm .pbm .pnm".split()  # noqa: SIM905
)


class BadImage(Exception):
    """An image that cannot be decoded; the message says why, in a few words."""


def is_image(file_name: str) -> bool:
    """Whether a file's suffix is an image's."""
    return file_name.lower().endswith(tuple(_SUFFIXES))


def decode(file: Path | IO[bytes], size: int | None) -> np.ndarray:
    """Decode an image to uint8 RGB [H, W, 3].

    Gray, palette and CMYK become RGB, transparent parts white, 16 bits per channel eight, and a
    camera's orientation tag is obeyed. Of an animation the first frame is taken.

    Args:
        file: the file.
        size: scale the shorter side to `size` pixels with antialias and crop the center to a
            square; None keeps the image as it is.

    Raises:
        BadImage: it is damaged, no image, or has more pixels than Pillow's limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                image.load()
                if "exif" in image.info:
                    ImageOps.exif_transpose(image, in_place=True)
                rgb = to_rgb(image)
        if size is not None and rgb.size != (size, size):
            rgb = square(rgb, size)
        return np.asarray(rgb)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BadImage("more pixels than Pillow's limit") from error
    except UnidentifiedImageError as error:
        raise BadImage("not an image") from error
    except MemoryError:
        raise
    # Pillow's readers raise nearly anything on damaged data.
    except Exception as error:
        raise BadImage((str(error) or type(error).__name__).splitlines()[0]) from error


def square(image: Image.Image, size: int) -> Image.Image:
    """Scale the largest centered square of an image to `size` pixels with antialias."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB.

    Raises:
        BadImage: its pixels are floating-point numbers.
    """
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits at 255 instead of scaling them.
        high = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        image = Image.fromarray(high.astype(np.uint8))
    elif image.mode == "F":
        raise BadImage("floating-point pixels")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    return image.convert("RGB")
