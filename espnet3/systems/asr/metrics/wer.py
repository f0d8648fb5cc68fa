"""The word error rate."""

from espnet3.systems.asr.metrics._error_rate import ErrorRate


class WER(ErrorRate):
    """Word errors in percent of the references' words: `{"WER": 1.23, "words": 512, "substitutions": …}`."""

    rate_name = "WER"
    units_name = "words"
    characters = False
