"""The character error rate."""

from espnet3.systems.asr.metrics._error_rate import ErrorRate


class CER(ErrorRate):
    """Character errors in percent of the references' characters: `{"CER": 1.23, "characters": 2048, …}`.

    Blanks count as characters.
    """

    rate_name = "CER"
    units_name = "characters"
    characters = True
