"""How known archives are laid out on disk -> one row per scan. An archive is one file here and one line below."""

from tfds_builders.archives import adni, bids, covid_blues, growth, ixi, oasis, open_ms, plain, pocus
from tfds_builders.archives.api import Archive

ARCHIVES: dict[str, Archive] = {
    "adni": adni.Adni,
    "bids": bids.Bids,
    "covid_blues": covid_blues.CovidBlues,
    "csv": plain.Plain,
    "growth": growth.Growth,
    "ixi": ixi.Ixi,
    "oasis": oasis.Oasis,
    "open_ms": open_ms.OpenMs,
    "pocus": pocus.Pocus,
}
