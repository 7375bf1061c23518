"""The report of a study or a comparison: a file that is understood without the project."""
