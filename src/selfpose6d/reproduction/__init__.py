"""The paper's tables and its figure, trained, measured and written beside the printed ones."""
