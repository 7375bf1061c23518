"""The user attributes of studies and trials, besides those that `storage` sets."""

# Of a study.
SPEC = "spec"
METRIC = "metric"
CODE = "code"
FINGERPRINT = "data_fingerprint"
DATA_SIZE = "data_size"
TRAIN_IMAGES = "train_images"
VALIDATION_IMAGES = "validation_images"
CLASSES = "classes"
#: What `training.precision: auto` stands for on CPUs, as the first worker measured it.
CPU_PRECISION = "cpu_precision"

# Of a trial.
CONFIG = "config"
ENVIRONMENT = "environment"
WORKER = "worker"
KERNEL_SIZE = "kernel_size"
RECEPTIVE_FIELD = "receptive_field"
PARAMETERS = "parameters"
MULTIPLY_ADDS = "multiply_adds"
IMAGES_PER_SECOND = "images_per_second"
#: What its last epoch measured.
METRICS = "metrics"
