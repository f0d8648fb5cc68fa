"""Which digit does it begin with: model, transforms, collation, and two further ways to hold the data."""
