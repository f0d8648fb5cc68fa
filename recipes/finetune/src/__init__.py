"""A reader of spoken digits that is trained once and then adapted: model, adapter, text, telephone, inference."""
