"""AN4: how its archive becomes audio and manifests (`builder`) and how they are read (`dataset`)."""
