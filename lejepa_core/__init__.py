"""LeJEPA: the method. Loss, encoder, views, data, pretraining and evaluation."""
