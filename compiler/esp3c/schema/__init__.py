"""What ESPnet3, Lightning and the machine backends offer, as data. Nothing here imports them; a test compares."""
