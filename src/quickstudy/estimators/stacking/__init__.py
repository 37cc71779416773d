"""Stacking: models that learn from what other models answered to examples these had not seen."""
