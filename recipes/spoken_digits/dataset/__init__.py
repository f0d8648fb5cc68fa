"""The spoken digits: how they are made (`builder`) and how they are read (`dataset`)."""
