"""Metadata in Croissant, which dataset catalogues and search engines read (https://docs.mlcommons.org/croissant)."""

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl

from tfds_builders import cohort
from tfds_builders.record import DatasetMeta

FILE = "croissant.json"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write(folder: Path, meta: DatasetMeta, table: pl.DataFrame) -> None:
    """Write ``croissant.json``, with shards and cohort table as files and the table's columns as a record set.

    Licence and URL are left to whoever publishes the dataset.
    """
    path = folder / cohort.TABLE_FILE
    parquet = {
        "@type": "cr:FileObject",
        "@id": cohort.TABLE_FILE,
        "name": cohort.TABLE_FILE,
        "description": "One row per scan, in the order of the records.",
        "contentUrl": cohort.TABLE_FILE,
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    shards = [
        {
            "@type": "cr:FileObject",
            "@id": shard.name,
            "name": shard.name,
            "description": "Records in ArrayRecord; read with tensorflow-datasets.",
            "contentUrl": shard.name,
            "encodingFormat": "application/octet-stream",
            "sha256": hashlib.sha256(shard.read_bytes()).hexdigest(),
        }
        for shard in sorted(folder.glob("*.array_record-*"))
    ]
    text = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": meta.name,
        "version": meta.version,
        "description": f"{meta.n_scans} {meta.modality} scans with the visits and scores of their patients.",
        "distribution": [parquet, *shards],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "cohort",
                "name": "cohort",
                "field": [_field(name, dtype) for name, dtype in table.drop("split", strict=False).schema.items()],
            }
        ],
    }
    (folder / FILE).write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def _field(name: str, dtype: pl.DataType) -> dict[str, Any]:
    kind = "sc:Integer" if dtype.is_integer() else "sc:Float" if dtype.is_float() else "sc:Text"
    source = {"fileObject": {"@id": cohort.TABLE_FILE}, "extract": {"column": name}}
    return {"@type": "cr:Field", "@id": f"cohort/{name}", "name": name, "dataType": kind, "source": source}
