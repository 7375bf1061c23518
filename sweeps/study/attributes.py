"""The user attributes that studies and trials carry beside those that `storage` sets."""

# Of a study.
SPEC = "spec"
METRIC = "metric"
FINGERPRINT = "data_fingerprint"
DATA_SIZE = "data_size"
TRAIN_PICTURES = "train_pictures"
VALIDATION_PICTURES = "validation_pictures"
CLASSES = "classes"

# Of a trial.
CONFIG = "config"
ENVIRONMENT = "environment"
WORKER = "worker"
KERNEL_SIZE = "kernel_size"
RECEPTIVE_FIELD = "receptive_field"
PARAMETERS = "parameters"
IMAGES_PER_SECOND = "images_per_second"
