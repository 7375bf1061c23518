"""How numbers are written for people."""


def written(value: float, digits: int = 4) -> str:
    """Write a number rounded to so many digits, a large one whole: 22630 and not 2.263e+04."""
    return f"{float(f'{value:.{digits}g}'):.15g}"
