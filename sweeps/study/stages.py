"""The studies that a comparison is made of, and how it is found among others.

A comparison NAME is several studies: ``NAME.explore.ARM`` and ``NAME.tune.ARM`` for each arm, then
``NAME.confirm``, whose trials are runs of an arm with a seed, and ``NAME.equal-time``. The study
``NAME.confirm`` is made first, and holds the comparison's spec.
"""

from collections.abc import Iterable

from storage import HardenedStorage, no_such_study, open_study, study_names

#: Attributes of the study NAME.confirm: the comparison's spec; what each arm's tuning chose; after
#: how many epochs arms are compared at equal time.
COMPARISON = "comparison"
CHOSEN = "chosen"
EQUAL_TIME = "equal_time_epochs"


def confirm_name(name: str) -> str:
    """Return the name of the study that confirms, and that holds the comparison."""
    return f"{name}.confirm"


def equal_time_name(name: str) -> str:
    """Return the name of the study whose arms train for the same seconds."""
    return f"{name}.equal-time"


def explore_name(name: str, arm: str) -> str:
    """Return the name of the study that explores an arm."""
    return f"{name}.explore.{arm}"


def tune_name(name: str, arm: str) -> str:
    """Return the name of the study that tunes an arm."""
    return f"{name}.tune.{arm}"


def find_comparison(storage: HardenedStorage, name: str | None = None) -> str | None:
    """Return the name of the comparison that a person means; ``None`` where a study is meant.

    Args:
        storage: where it is.
        name: a study's or a comparison's; ``None`` for the newest study, which may be a stage.

    Raises:
        storage.StorageError: there is neither of that name; the message has the nearest.
    """
    known = study_names(storage)
    if name in known or not known:
        return None
    homes = [home for home in known if home.endswith(confirm_name(""))]
    found = [home.removesuffix(confirm_name("")) for home in homes]
    if name is None:
        found = [each for each in found if stages(each, known[-1:])]
    comparisons = [each for each in found if _holds(storage, each)]
    if name is None:
        return next(iter(comparisons), None)
    if name not in comparisons:
        raise no_such_study(name, [*known, *comparisons], storage.location)
    return name


def stages(name: str, studies: Iterable[str]) -> list[str]:
    """Return those of some studies that are stages of a comparison, in their order."""
    tuning = (explore_name(name, ""), tune_name(name, ""))
    ends = (confirm_name(name), equal_time_name(name))
    return [study for study in studies if study in ends or study.startswith(tuning)]


def _holds(storage: HardenedStorage, name: str) -> bool:
    return COMPARISON in open_study(storage, confirm_name(name)).user_attrs
