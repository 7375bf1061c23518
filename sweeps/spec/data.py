"""The settings of the images."""

from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from sweeps.errors import SweepsError
from sweeps.spec.imports import Reference
from sweeps.spec.torchvision_sets import PREFIX, find_set
from sweeps.spec.validation import Section

#: The name of no dataset.
NO_IMAGES = "none"


class DataConfig(Section):
    """The images.

    Attributes:
        name: of a built-in dataset, one that was imported, ``torchvision/NAME``, or ``none``
            for no images, where the objective is a loop of your own.
        import: instead of a name, ``module:function``. It returns two datasets of torch's kind,
            train and test, whose items are images, by Pillow or uint8, with their labels.
        options: arguments of that function, or of a dataset of torchvision that needs some.
        size: height and width in pixels; ``None`` for the dataset's own.
        validation: the share of the training images held out for validation.
        split_seed: of the choice of those; separate from the run's seed, so that runs with other
            seeds are measured on the same images.
        train_limit, validation_limit: use at most this many images, the classes in their shares.
    """

    name: str = "cifar10"
    import_: Reference | None = Field(None, alias="import")
    options: dict[str, Any] = Field(default_factory=dict)
    size: int | None = Field(None, ge=8)
    validation: float = Field(0.1, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)
    train_limit: int | None = Field(None, ge=1)
    validation_limit: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _import_is_the_name(cls, tree: Any) -> Any:
        if not isinstance(tree, dict) or not isinstance(tree.get("import"), str):
            return tree
        if tree.get("name", tree["import"]) != tree["import"]:
            raise ValueError("give a name or an import, not both")
        return {**tree, "name": tree["import"]}

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.import_ is None and self.name.startswith(PREFIX):
            try:
                recipe = find_set(self.name, self.options)
            except SweepsError as error:
                raise ValueError(str(error)) from None
            if recipe.varied and self.size is None:
                raise ValueError(f"the images of {self.name} differ in size; give data.size")
        elif self.import_ is None and self.options:
            raise ValueError(f"{self.name} takes no options")
        return self

    @model_serializer(mode="wrap")
    def _without_idle_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        tree: dict[str, Any] = handler(self)
        for key in ("import", "import_") if self.import_ is None else ("name",):
            tree.pop(key, None)
        if not self.options:
            tree.pop("options", None)
        return tree

    @property
    def title(self) -> str:
        """The images' part of a study's name: ``cifar10``, ``EMNIST-letters``, ``mydata-build``."""
        title = self.name.removeprefix(PREFIX).replace(":", "-")
        if self.import_ is None:
            title = "-".join([title, *map(str, self.options.values())])
        return title
