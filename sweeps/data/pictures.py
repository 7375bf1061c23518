"""One picture file's bytes to an RGB array."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Named, so that nothing a file says brings in a format that runs other programs (EPS does).
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_SUFFIXES = (
    ".jpg .jpeg .jpe .jfif .png .bmp .gif .webp .tif .tiff .ppm .pgm .pbm .pnm".split()  # noqa: SIM905
)


class BadPicture(Exception):
    """A picture that cannot be decoded; the message says why, in a few words."""


def is_picture(file_name: str) -> bool:
    """Whether a file's suffix is a picture's."""
    return file_name.lower().endswith(tuple(_SUFFIXES))


def decode(data: bytes, size: int | None) -> np.ndarray:
    """Decodes a picture to uint8 RGB [H, W, 3].

    Grey, palette and CMYK become RGB, transparent parts white, 16 bits per channel eight, and a
    camera's orientation tag is obeyed. Of an animation the first frame is taken.

    Args:
        data: the file's contents.
        size: scale the shorter side to `size` pixels with antialias and crop the centre to a
            square; None keeps the picture as it is.

    Raises:
        BadPicture: it is damaged, no picture, or has more pixels than Pillow's limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                picture.load()
                if "exif" in picture.info:
                    ImageOps.exif_transpose(picture, in_place=True)
                rgb = _to_rgb(picture)
        if size is not None and rgb.size != (size, size):
            rgb = square(rgb, size)
        return np.asarray(rgb)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BadPicture("more pixels than Pillow's limit") from error
    except MemoryError:
        raise
    # Pillow's readers raise nearly anything on damaged data.
    except Exception as error:
        raise BadPicture(_reason(error)) from error


def square(picture: Image.Image, size: int) -> Image.Image:
    """The largest centred square of `picture`, scaled to `size` pixels with antialias."""
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits at 255 in place of scaling them.
        high = np.clip(np.asarray(picture).astype(np.int64), 0, 65535) >> 8
        picture = Image.fromarray(high.astype(np.uint8))
    elif picture.mode == "F":
        raise BadPicture("floating-point pixels")
    elif picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.new("RGBA", layer.size, "white")
        picture.alpha_composite(layer)
    return picture.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return (str(error) or type(error).__name__).splitlines()[0]
