"""A published entry as an object: every record of its files and the folder that holds them. No torch."""
