"""What every other folder uses: errors, files, schemas, text, progress. Loads nothing heavy."""

__all__: list[str] = []
